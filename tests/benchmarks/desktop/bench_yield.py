#!/usr/bin/env python3
"""How long an owner waits for the machine: from an input to the device being free, again and again.

  bench_yield.py --agent PROGRAM --state-dir DIR --fallow PROGRAM --model NAME --like BATCH --folder DIR
                 [--backend vulkan|cpu] [--trials N] [--observe-only]
                 [--boinc-task PROGRAM [--boinc-trials N]] [--owner-work PROGRAM [--neighbour-rounds N]]

An agent that has joined a coordinator works on an endless batch; at random moments an owner at a display of
its own moves the mouse or presses a key. The figures are the agent's own record of each yield, timed from the
moment before the input was sent. That record is not believed: meanwhile the processor time of the worker's
processes is watched, and what they use after the moment in which the agent called the device free is
reported. (With a GPU that is the driver's time, not the GPU's.) --observe-only is for agents that keep no
record. With --boinc-task the same is done to boinc-client, which keeps no record either; with --owner-work a
program of the owner is timed beside the agent on the CPU (neighbour.py).

--boinc-trials 0 and --neighbour-rounds 0 leave these parts out. The last line is one JSON object.
"""
import argparse
import functools
import json
import random
import sys
import time
from pathlib import Path

import boinc
import neighbour
from agent import ALONE_ON_THE_MACHINE, Agent
from desktop import Desktop, Owner
from endless_work import EndlessWork
from figures import histogram, percentile
from processes import clean_up_when_told_to_end, load_by_others, processor_name
from waiting import Patience, wait_until
from yield_trial import ALLOWANCE_NS, Claim, is_busy, judge, observe_input

AGENT_LIMIT_S = 5  # so long a trial watches
BOINC_LIMIT_S = 70  # boinc-client kills after 60 s
WORK_PATIENCE_S = 300
FIRST_WORK_PATIENCE_S = 300  # the model is fetched, the driver compiles shaders
CLAIM_PATIENCE_S = 5
MAX_WORK_BEFORE_INPUT_S = 1.5
TRIALS_BETWEEN_WORDS = 20
US = 1000  # ns


class NotATrial(Exception):
    """The program was no longer at work when the input came, for a reason of its own."""


class AgentSubject:
    """The agent, in the way of a trial."""

    limit_s = AGENT_LIMIT_S

    def __init__(self, agent, work, keeps_record):
        self._agent, self._work, self._keeps_record = agent, work, keeps_record
        self._before = None  # its record of yields when it was last seen working

    def wait_until_working(self, patience_s):
        def working():
            if self._work.trouble is not None:
                raise RuntimeError(f"no more work can be submitted: {self._work.trouble}")
            return self.working_processes()

        return self._agent.wait_until_computing(patience_s, working)

    def working_processes(self):
        status = self._agent.status()
        if self._keeps_record and "yields" not in status:
            sys.exit("bench_yield: this agent's status has no yields; --observe-only measures from outside alone")
        if self._keeps_record:
            self._before = status["yields"]
        if status["state"] != "working" or status["worker"]["process_id"] is None:
            return None
        found = self._agent.worker_processes()
        return found if found and is_busy(found) else None

    def claim(self, observation):
        if not self._keeps_record:
            return None
        yields = wait_until("the agent records the yield", self._changed_record, CLAIM_PATIENCE_S)
        if yields["count"] == self._before["count"]:
            raise NotATrial("it had no work in hand")
        last = yields["last"]
        claim = Claim(last["input_at_us"] * US, last["freed_at_us"] * US, last["how"])
        if claim.freed_at_ns < observation.input_at_ns:
            raise NotATrial("it had stopped already")
        return claim

    def _changed_record(self):
        yields = self._agent.status()["yields"]
        return yields if any(yields[key] != self._before[key] for key in ("count", "idle")) else None


class BoincSubject:
    limit_s = BOINC_LIMIT_S

    def __init__(self, client):
        self._client = client

    def wait_until_working(self, patience_s):
        def working():
            found = self._client.task_processes()
            return found if found and is_busy(found) else None

        return wait_until("boinc-client works", working, patience_s)

    def claim(self, observation):
        del observation
        return None


def run_trials(name, subject, owner, count, chance):
    trials, left_out = [], 0
    patience_s = FIRST_WORK_PATIENCE_S
    while len(trials) < count:
        subject.wait_until_working(patience_s)
        patience_s = WORK_PATIENCE_S
        time.sleep(chance.uniform(0, MAX_WORK_BEFORE_INPUT_S))
        working = subject.wait_until_working(patience_s)
        observation = observe_input(owner, working, subject.limit_s)
        try:
            trials.append(judge(observation, subject.claim(observation)))
        except NotATrial as reason:
            left_out += 1
            if left_out > count:
                sys.exit(f"bench_yield: {name}: {left_out} inputs came when {reason}")
            continue
        if len(trials) % TRIALS_BETWEEN_WORDS == 0 or len(trials) == count:
            print(f"{name}: {len(trials)} of {count} trials", file=sys.stderr, flush=True)
    return trials


def times_of(trials):
    return [trial.observed_ms if trial.claimed_ms is None else trial.claimed_ms for trial in trials]


def summary(trials):
    times = times_of(trials)
    return {percent: percentile(times, percent) for percent in (50, 90, 99, 100)}


def describe(name, trials):
    values = summary(trials)
    observed = [trial.observed_ms for trial in trials]
    print(f"{name}: {len(trials)} trials, free after p50 {values[50]:.1f} ms, p90 {values[90]:.1f} ms, "
          f"p99 {values[99]:.1f} ms, at most {values[100]:.1f} ms")
    if trials[0].claimed_ms is not None:
        noticed = [trial.noticed_ms for trial in trials]
        belied = [trial for trial in trials if trial.used_after_claim_ms > ALLOWANCE_NS / 1e6]
        print(f"  the input was noticed after p50 {percentile(noticed, 50):.1f} ms, p99 {percentile(noticed, 99):.1f} ms")
        print(f"  watched from outside: p50 {percentile(observed, 50):.1f} ms, p99 {percentile(observed, 99):.1f} ms; "
              f"the worker used up to {max(trial.used_after_claim_ms for trial in trials):.1f} ms of processor time "
              f"after it was said to be free, more than {ALLOWANCE_NS / 1e6:.0f} ms in {len(belied)} trials")
    busy = sum(not trial.observed for trial in trials)
    if busy:
        print(f"  still busy when watching ended: {busy} trials")


def start_agent(options, desktop, backend, agent_options, settings):
    return Agent(options.agent, options.state_dir, options.folder / "agent.log", desktop.environment,
                 ["--backend", backend, *agent_options], settings)


def measure_agent(options, desktop, owner, work, chance):
    agent = start_agent(options, desktop, options.backend, ["--idle-after", "1s"], ALONE_ON_THE_MACHINE)
    try:
        subject = AgentSubject(agent, work, not options.observe_only)
        trials = run_trials("fallow-agent", subject, owner, options.trials, chance)
        status = agent.status()
        return trials, status["backend"], status["processor"]
    finally:
        agent.close()


def measure_boinc(options, desktop, owner, chance):
    if options.boinc_task is None or options.boinc_trials == 0 or boinc.version() is None:
        return None
    client = boinc.Boinc(options.folder / "boinc", desktop.environment, options.boinc_task)
    try:
        return run_trials(f"boinc-client {boinc.version()}", BoincSubject(client), owner, options.boinc_trials, chance)
    except Patience as trouble:
        print(f"bench_yield: {trouble}: is another display or terminal in use? see {client.log_path}", file=sys.stderr)
        return None
    finally:
        client.close()


def measure_neighbour(options, desktop):
    """The slowdowns, as many as could be measured, and why no more could be."""
    slowdowns = {}
    if options.owner_work is None or options.neighbour_rounds == 0:
        return slowdowns, None
    try:
        neighbour.measure(options.owner_work, options.neighbour_rounds,
                          functools.partial(start_agent, options, desktop, "cpu"), slowdowns)
    except Patience as trouble:
        return slowdowns, trouble
    return slowdowns, None


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", required=True)
    parser.add_argument("--state-dir", required=True)
    parser.add_argument("--fallow", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--like", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--backend", choices=("vulkan", "cpu"), default="vulkan")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--boinc-task")
    parser.add_argument("--boinc-trials", type=int, default=50)
    parser.add_argument("--owner-work")
    parser.add_argument("--neighbour-rounds", type=int, default=5)
    parser.add_argument("--observe-only", action="store_true")
    parser.add_argument("--seed", type=int, default=1, help="of the moments in which the owner acts")
    return parser.parse_args()


def main():
    options = parse_options()
    clean_up_when_told_to_end()
    chance = random.Random(options.seed)
    others = {"others_load_percent": load_by_others()}
    desktop = Desktop(options.folder / "xvfb.log")
    try:
        owner = Owner(desktop.display)
        work = EndlessWork(options.fallow, options.like, options.model, options.folder)
        ours, backend, device = measure_agent(options, desktop, owner, work, chance)
        theirs = measure_boinc(options, desktop, owner, chance)
        show(ours, theirs, backend, device)
        slowdowns, trouble = measure_neighbour(options, desktop)
        work.close()
        owner.close()
    finally:
        desktop.close()
    # Trials of many minutes are not lost to what came after them.
    print(json.dumps(result(ours, theirs, backend, device) | slowdowns | others), flush=True)
    if trouble is not None:
        sys.exit(f"bench_yield: an owner's program beside the agent: {trouble}")


def show(ours, theirs, backend, device):
    print(f"\nFrom the owner's input to the device being free, {backend} on {device}, beside {processor_name()}\n")
    columns = {"fallow-agent": times_of(ours)}
    if theirs is not None:
        columns[f"boinc-client {boinc.version()}"] = times_of(theirs)
    print(histogram(columns) + "\n")
    describe("fallow-agent", ours)
    if theirs is not None:
        describe(f"boinc-client {boinc.version()}, tasks left in memory", theirs)
    print(f"boinc-client by its source: {boinc.POLL_INTERVAL}; {boinc.QUIT_TIMEOUT}")


def result(ours, theirs, backend, device):
    values = summary(ours)
    observed = [trial.observed_ms for trial in ours]
    figures = {
        "benchmark": "yield", "backend": backend, "device": device, "trials": len(ours),
        "killed": sum(trial.how == "killed" for trial in ours),
        "yield_p50_ms": round(values[50], 2), "yield_p99_ms": round(values[99], 2),
        "yield_max_ms": round(values[100], 2),
        "recorded_by": "agent" if ours[0].claimed_ms is not None else "observer",
        "observed_p50_ms": round(percentile(observed, 50), 2), "observed_p99_ms": round(percentile(observed, 99), 2),
        "used_after_free_max_ms": round(max(trial.used_after_claim_ms for trial in ours), 2),
    }
    if theirs is not None:
        values = summary(theirs)
        figures |= {"boinc_version": boinc.version(), "boinc_trials": len(theirs),
                    "boinc_p50_ms": round(values[50], 1), "boinc_p99_ms": round(values[99], 1),
                    "boinc_max_ms": round(values[100], 1)}
    return figures


if __name__ == "__main__":
    try:
        main()
    except (Patience, RuntimeError) as trouble:
        sys.exit(f"bench_yield: {trouble}")
