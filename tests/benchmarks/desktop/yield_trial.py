"""One trial of a yield: an input of the owner, and how long the device stays busy after it."""
import time
from dataclasses import dataclass

from processes import MS, ProcessorTime

SAMPLE_PERIOD_S = 0.0005
QUIET_NS = 250 * MS  # so long without use, and the device is called free
# What a stopped worker may still use to say so and to wait: far less than one slice of work, 4 ms.
ALLOWANCE_NS = 1 * MS


@dataclass(frozen=True)
class Trial:
    """Times from the owner's input. `claimed_ms` is the program's own record, none if it keeps none."""

    observed_ms: float  # to the last use of a processor but for the allowance
    observed: bool  # false: it was still busy when watching ended, after observed_ms
    claimed_ms: float | None = None
    noticed_ms: float | None = None  # to the moment in which the program saw the input, by its record
    used_after_claim_ms: float = 0
    how: str = ""


@dataclass(frozen=True)
class Claim:
    """What a program records of a yield; times on CLOCK_MONOTONIC in ns."""

    noticed_at_ns: int
    freed_at_ns: int
    how: str


@dataclass(frozen=True)
class Observation:
    input_at_ns: int
    samples: list  # (CLOCK_MONOTONIC in ns, processor time in ns)

    def used_after_ns(self, moment_ns):
        """Processor time used from the first sample at or after the moment on."""
        for at, used in self.samples:
            if at >= moment_ns:
                return self.samples[-1][1] - used
        return 0

    def free_at_ns(self):
        """None if the processes were busy to the end."""
        last_at, final = self.samples[-1]
        for at, used in self.samples:
            if final - used <= ALLOWANCE_NS:
                return at if last_at - at >= QUIET_NS // 2 else None
        return None


def observe_input(owner, process_ids, limit_s):
    """Lets the owner act, and watches the processes until they have been quiet or `limit_s` is over."""
    time_used = ProcessorTime(process_ids)
    samples = [(time.monotonic_ns(), time_used.total_ns())]
    input_at = owner.act()
    quiet_from, used_then = input_at, samples[0][1]
    while True:
        now, used = time.monotonic_ns(), time_used.total_ns()
        samples.append((now, used))
        if used - used_then > ALLOWANCE_NS:
            quiet_from, used_then = now, used
        if now - quiet_from > QUIET_NS or now - input_at > limit_s * 1e9:
            return Observation(input_at, samples)
        time.sleep(SAMPLE_PERIOD_S)


def is_busy(process_ids, for_s=0.05, share=0.5):
    """Whether the processes use at least `share` of one processor at the moment."""
    time_used = ProcessorTime(process_ids)
    started, before = time.monotonic_ns(), time_used.total_ns()
    time.sleep(for_s)
    return time_used.total_ns() - before >= share * (time.monotonic_ns() - started)


def judge(observation, claim=None):
    free_at = observation.free_at_ns()
    end = free_at if free_at is not None else observation.samples[-1][0]
    observed_ms = (end - observation.input_at_ns) / MS
    if claim is None:
        return Trial(observed_ms, free_at is not None)
    return Trial(observed_ms, free_at is not None,
                 claimed_ms=(claim.freed_at_ns - observation.input_at_ns) / MS,
                 noticed_ms=(claim.noticed_at_ns - observation.input_at_ns) / MS,
                 used_after_claim_ms=observation.used_after_ns(claim.freed_at_ns) / MS, how=claim.how)
