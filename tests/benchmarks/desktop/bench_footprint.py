#!/usr/bin/env python3
"""What the agent costs while its owner works, beside an idle boinc-client.

  bench_footprint.py --agent PROGRAM --state-dir DIR --fallow PROGRAM --model NAME --like BATCH --folder DIR
                     [--backend vulkan|cpu] [--seconds N] [--soak] [--soak-by pause|input] [--transitions N]

The agent works for a while, as one does that has been there for long; then an owner at a display of its own
moves the mouse and presses keys every two seconds, and memory, processor time and wake-ups of daemon and session
helper are counted. The worker that stays loaded beside them is told apart. boinc-client runs meanwhile with
nothing to do. --soak adds 1,000 changes between running and paused within ten minutes, by the owner's commands
or by his input, and tells whether memory grows.

The last line is one JSON object.
"""
import argparse
import json
import sys
import threading
import time
from pathlib import Path

import boinc
import soak
from agent import HELPER, Agent
from desktop import Desktop, Owner
from endless_work import EndlessWork
from figures import median
from processes import (Memory, ProcessorTime, clean_up_when_told_to_end, load_by_others, memory_of, name_of,
                       processor_name, resident_kib_of, wakeups_of)
from waiting import Patience, wait_until

INPUT_PERIOD_S = 2
IDLE_AFTER_S = 5  # to begin with, so that work begins soon; longer than between two inputs
USUAL_IDLE_AFTER_S = 180  # the default, for what is measured
WORK_S = 10  # before the owner comes
SETTLE_S = 20  # after he came: what ends when work ends has ended
SAMPLE_PERIOD_S = 1  # of memory: pages that are given back come back when they are used
WORK_PATIENCE_S = 180
KIB_PER_MIB = 1024


class Usage:
    """What some processes used from the start of this object on, or since `restart`."""

    def __init__(self, process_ids):
        self.process_ids = list(process_ids)
        self._time = ProcessorTime(self.process_ids)
        self.restart()
        self.resident_kib = []  # as sampled

    def sample(self):
        self.resident_kib.append(sum(resident_kib_of(process) for process in self.process_ids))

    def restart(self):
        self._started = time.monotonic()
        self._used_before = self._time.total_ns()
        self._wakeups_before = self._wakeups()

    def _wakeups(self):
        return sum(wakeups_of(process) for process in self.process_ids)

    def memory(self):
        return sum((memory_of(process) for process in self.process_ids), Memory())

    def resident_mib(self):
        return median(self.resident_kib) / KIB_PER_MIB

    def resident_max_mib(self):
        return max(self.resident_kib) / KIB_PER_MIB

    def processor_percent(self):
        return (self._time.total_ns() - self._used_before) / 1e7 / (time.monotonic() - self._started)

    def wakeups_per_minute(self):
        return (self._wakeups() - self._wakeups_before) * 60 / (time.monotonic() - self._started)


class BusyOwner:
    """Acts every INPUT_PERIOD_S, until closed."""

    def __init__(self, owner):
        self._owner = owner
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._act, daemon=True)
        self._thread.start()

    def _act(self):
        while not self._stopped.is_set():
            self._owner.act()
            self._stopped.wait(INPUT_PERIOD_S)

    def close(self):
        self._stopped.set()
        self._thread.join()


def heading(seconds):
    return (f"{f'over {seconds} s':<38}{'RSS MiB':>9}{'at most':>9}{'PSS MiB':>9}{'own dirty':>11}{'% of a core':>13}"
            f"{'wake-ups/min':>14}   (RSS: median and most of a sample a second)")


def row(name, usage):
    memory = usage.memory()
    return (f"{name:<38}{usage.resident_mib():>9.2f}{usage.resident_max_mib():>9.2f}"
            f"{memory.proportional_kib / KIB_PER_MIB:>9.2f}{memory.private_dirty_kib / KIB_PER_MIB:>11.2f}{usage.processor_percent():>13.4f}"
            f"{usage.wakeups_per_minute():>14.1f}")


def work_for_a_while(agent, seconds):
    agent.wait_until_computing(WORK_PATIENCE_S)
    time.sleep(seconds)


def sample_for(seconds, usages):
    for usage in usages:
        usage.restart()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(SAMPLE_PERIOD_S)
        for usage in usages:
            usage.sample()


def measure(options, desktop, owner, agent):
    """Prints the table; gives the figures of its two sides."""
    work_for_a_while(agent, WORK_S)
    busy_owner = BusyOwner(owner)
    client = boinc.Boinc(options.folder / "boinc", desktop.environment) if boinc.version() else None
    try:
        wait_until("the agent sees its owner", lambda: agent.status()["state"] == "in_use", WORK_PATIENCE_S)
        # What an owner has: shortly before he counts as away, more is watched.
        agent.follow(settings_with(USUAL_IDLE_AFTER_S))
        time.sleep(SETTLE_S)
        standing, worker = agent.standing_processes(), agent.worker_processes()
        usages = [(f"{name_of(process)}", Usage([process])) for process in standing]
        together = Usage(standing)
        if worker:
            usages.append(("worker, loaded for what comes next", Usage(worker)))
        if client is not None:
            usages.append((f"boinc-client {boinc.version()}, nothing to do", Usage([client.process_id])))
        sample_for(options.seconds, [together, *(usage for _, usage in usages)])
        if client is not None:
            client.check_running()
        print(heading(options.seconds))
        print(row("daemon and session helper together", together))
        for name, usage in usages:
            print(row("  " + name if usage.process_ids[0] in standing else name, usage))
        figures = figures_of(together, usages[-1][1] if client is not None else None, standing)
        state = agent.status()["state"]
        if state != "in_use":
            sys.exit(f"bench_footprint: the agent was {state} at the end, though its owner was active")
        return figures
    finally:
        busy_owner.close()
        if client is not None:
            client.close()


def figures_of(ours, theirs, standing):
    figures = {
        "benchmark": "footprint",
        "resident_mib": round(ours.resident_mib(), 2),
        "resident_max_mib": round(ours.resident_max_mib(), 2),
        "proportional_mib": round(ours.memory().proportional_kib / KIB_PER_MIB, 2),
        "cpu_percent": round(ours.processor_percent(), 4),
        "wakeups_per_minute": round(ours.wakeups_per_minute(), 1),
        "helpers": sum(name_of(process) == HELPER for process in standing),
    }
    if theirs is not None:
        figures |= {
            "boinc_version": boinc.version(),
            "boinc_resident_mib": round(theirs.resident_mib(), 2),
            "boinc_resident_max_mib": round(theirs.resident_max_mib(), 2),
            "boinc_proportional_mib": round(theirs.memory().proportional_kib / KIB_PER_MIB, 2),
            "boinc_cpu_percent": round(theirs.processor_percent(), 4),
            "boinc_wakeups_per_minute": round(theirs.wakeups_per_minute(), 1),
        }
    return figures


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("--agent", "--state-dir", "--fallow", "--model", "--like"):
        parser.add_argument(name, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--backend", choices=("vulkan", "cpu"), default="vulkan")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--soak-by", choices=("pause", "input"), default="pause")
    parser.add_argument("--soak-minutes", type=float, default=10)
    parser.add_argument("--transitions", type=int, default=1000)
    return parser.parse_args()


def settings_with(idle_after_s):
    return f'{soak.SETTINGS}\n[presence]\nidle_after = "{idle_after_s}s"\n'


def start_agent(options, desktop, idle_after_s):
    return Agent(options.agent, options.state_dir, options.folder / "agent.log", desktop.environment,
                 ["--backend", options.backend], settings_with(idle_after_s))


def main():
    options = parse_options()
    clean_up_when_told_to_end()
    others = load_by_others()
    desktop = Desktop(options.folder / "xvfb.log")
    try:
        owner = Owner(desktop.display)
        work = EndlessWork(options.fallow, options.like, options.model, options.folder)
        print(f"The agent while its owner works, {processor_name()}\n")
        agent = start_agent(options, desktop, IDLE_AFTER_S)
        try:
            figures = measure(options, desktop, owner, agent)
        finally:
            agent.close()
        if options.soak:
            agent = start_agent(options, desktop, soak.IDLE_AFTER_S)
            try:
                figures |= soak.run(agent, owner, options.soak_by, options.transitions, options.soak_minutes)
            finally:
                agent.close()
        work.close()
        owner.close()
    finally:
        desktop.close()
    print(json.dumps(figures | {"others_load_percent": others}))


if __name__ == "__main__":
    try:
        main()
    except (Patience, RuntimeError) as trouble:
        sys.exit(f"bench_footprint: {trouble}")
