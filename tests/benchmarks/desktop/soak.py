"""Many changes between running and paused, and what they leave behind in memory."""
import sys
import time

from agent import ALONE_ON_THE_MACHINE
from figures import median, slope
from processes import resident_kib_of
from waiting import wait_until
from yield_trial import is_busy

SETTINGS = ALONE_ON_THE_MACHINE
IDLE_AFTER_S = 1  # the shortest there is, for changes by input
CHANGE_PATIENCE_S = 60
SAMPLES = 100  # of memory, over the whole soak
WARM_UP = 0.2  # of the soak: caches fill and the heap finds its size
TRANSITIONS_A_CYCLE = 2


def run(agent, owner, by, transitions, minutes):
    """At least so many changes and at least so long. Figures of the growth from the warm-up to the end."""
    start, stop = _commands(agent, owner, by)
    cycles = transitions // TRANSITIONS_A_CYCLE
    period_s = minutes * 60 / cycles
    workers_seen = set()
    points = []  # (changes made, RSS of daemon and helper in KiB)
    started = time.monotonic()
    for cycle in range(cycles):
        start()
        agent.wait_until_computing(CHANGE_PATIENCE_S, lambda: is_busy(agent.worker_processes(), 0.02, 0.25))
        workers_seen.add(agent.status()["worker"]["process_id"])
        stop()
        wait_until("the agent stops", lambda: agent.status()["state"] in ("in_use", "paused"), CHANGE_PATIENCE_S, 0.02)
        if cycle % max(1, cycles // SAMPLES) == 0 or cycle == cycles - 1:
            points.append((TRANSITIONS_A_CYCLE * (cycle + 1), _resident_kib(agent)))
            if len(points) % 10 == 0:
                print(f"soak: {points[-1][0]} of {transitions} changes, {points[-1][1]} KiB", file=sys.stderr, flush=True)
        time.sleep(max(0, started + (cycle + 1) * period_s - time.monotonic()))
    return _figures(points, transitions, time.monotonic() - started, len(workers_seen))


def _commands(agent, owner, by):
    if by == "pause":
        return (lambda: agent.call("resume")), (lambda: agent.call("pause"))
    return (lambda: None), owner.act  # it starts of itself when the owner is away


def _resident_kib(agent):
    return sum(resident_kib_of(process) for process in agent.standing_processes())


def _figures(points, transitions, seconds, worker_count):
    warm = points[int(len(points) * WARM_UP):]
    edge = max(1, len(warm) // 10)
    before, after = (median([kib for _, kib in part]) for part in (warm[:edge], warm[-edge:]))
    per_1000 = slope(warm) * 1000
    print(f"\nsoak: {transitions} changes in {seconds:.0f} s, {worker_count} worker processes; daemon and helper "
          f"{before:.0f} KiB after the first fifth, {after:.0f} KiB at the end, "
          f"{per_1000:+.1f} KiB in 1,000 changes by the line through all samples")
    return {"soak_transitions": transitions, "soak_s": round(seconds), "soak_growth_kib": round(after - before, 1),
            "soak_slope_kib_per_1000": round(per_1000, 1)}
