"""How much an owner's program slows down beside an agent that works on the CPU.

The program does a fixed amount of work in a session of its own, as a login's would, alone and beside the agent in
turns; each time anew, the agent is started and works before the program begins. A slowdown is the median of the
times beside it over the median of those alone.
"""
import os
import subprocess
from dataclasses import dataclass

from agent import ALONE_ON_THE_MACHINE, Agent
from figures import median

ROUND_S = 3  # of the program alone
START_PATIENCE_S = 300  # other programs must leave the machine alone first
ENOUGH_STEPS = 100_000_000  # to tell a processor's speed


@dataclass(frozen=True)
class Case:
    key: str
    words: str
    thread_count: int
    options: tuple
    settings: str


_OWNER = ("--idle-after", "1s")


def cases():
    processors = os.cpu_count()
    return [
        Case("neighbour_slowdown", f"as shipped, a program of {processors} threads", processors, _OWNER, ""),
        Case("neighbour_one_thread_slowdown", "as shipped, a program of one thread", 1, _OWNER, ""),
        Case("neighbour_priority_alone_slowdown",
             f"by its priority alone, blind to load, a program of {processors} threads", processors, _OWNER,
             ALONE_ON_THE_MACHINE),
        Case("neighbour_dedicated_slowdown", f"on a dedicated machine, a program of {processors} threads", processors,
             ("--dedicated",), ALONE_ON_THE_MACHINE),
    ]


class Neighbour:
    def __init__(self, program):
        self._program = program
        self._steps = int(ENOUGH_STEPS * ROUND_S / self._run(1, ENOUGH_STEPS))

    def run_s(self, thread_count):
        return self._run(thread_count, self._steps)

    def _run(self, thread_count, steps):
        run = subprocess.run([self._program, str(thread_count), str(steps)], capture_output=True, text=True,
                             check=True, start_new_session=True)
        return float(run.stdout.split()[0])


def measure(program, rounds, start_agent, slowdowns):
    """`start_agent(options, settings)` gives a running agent on the CPU. Fills {key: slowdown}, and prints a table."""
    neighbour = Neighbour(program)
    print(f"\n{'an owner’s program beside the agent on the CPU':<74}{'alone':>9}{'beside':>9}{'slowdown':>10}")
    for case in cases():
        alone, beside = [], []
        for _ in range(rounds):
            alone.append(neighbour.run_s(case.thread_count))
            agent = start_agent(case.options, case.settings)
            try:
                agent.wait_until_computing(START_PATIENCE_S)
                beside.append(neighbour.run_s(case.thread_count))
            finally:
                agent.close()
        slowdown = median(beside) / median(alone)
        print(f"{case.words:<74}{median(alone):>7.3f} s{median(beside):>7.3f} s{slowdown:>10.3f}")
        slowdowns[case.key] = round(slowdown, 4)
