"""What processes use: processor time, memory and wake-ups, as the kernel counts them.

Times are in nanoseconds, memory in KiB. A process that has gone uses nothing more.
"""
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

MS = 1_000_000  # nanoseconds
BUSY_PERCENT = 5


def start(command, **options):
    """A program that is told to end when this one ends, however it ends. `options`: of subprocess.Popen."""
    return subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command], **options)


def stop(process, patience_s):
    """Ends a program that `start` started, and what is left below it."""
    below = [handle for child in descendants(process.pid)[1:] if (handle := _handle_of(child)) is not None]
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for handle in below:
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:  # the usual case: it has ended
            pass
        os.close(handle)


def _handle_of(process_id):
    """A file that stands for the process, whoever gets its id later; None if it has gone."""
    try:
        return os.pidfd_open(process_id)
    except OSError:
        return None


def clean_up_when_told_to_end():
    """SIGTERM ends this program as an error would: what it started is stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def descendants(process_id):
    """The process and all below it, itself first."""
    found, to_visit = [], [process_id]
    while to_visit:
        process = to_visit.pop()
        found.append(process)
        for task in _tasks(process):
            try:
                to_visit += map(int, (task / "children").read_text().split())
            except OSError:
                pass
    return found


def _tasks(process_id):
    try:
        return list(Path(f"/proc/{process_id}/task").iterdir())
    except OSError:
        return []


class ProcessorTime:
    """The processor time of some processes together, all their threads counted, ended ones too.

    A thread that runs is brought up to date by the kernel's tick (4 ms or less) and whenever it leaves
    its processor, so the moment in which a process falls idle is seen without delay.
    """

    def __init__(self, process_ids):
        # A process's own clock, as clock_getcpuclockid(3) makes it: it needs no file and costs a microsecond.
        self._clocks = {process: ((~process) << 3) | 2 for process in process_ids}
        self._last = dict.fromkeys(process_ids, 0)

    def total_ns(self):
        for process, clock in self._clocks.items():
            try:
                self._last[process] = time.clock_gettime_ns(clock)
            except OSError:  # it has gone; what it used stays
                pass
        return sum(self._last.values())


@dataclass(frozen=True)
class Memory:
    resident_kib: int = 0  # VmRSS: shared pages count in full
    proportional_kib: int = 0  # PSS: shared pages are divided among those who share
    private_dirty_kib: int = 0  # what nobody else has and no file holds

    def __add__(self, other):
        return Memory(
            self.resident_kib + other.resident_kib,
            self.proportional_kib + other.proportional_kib,
            self.private_dirty_kib + other.private_dirty_kib,
        )


def memory_of(process_id):
    fields = {}
    try:
        lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    except OSError:
        return Memory()
    for line in lines:
        key, _, value = line.partition(":")
        if value.strip().endswith(" kB"):
            fields[key] = int(value.split()[0])
    return Memory(fields.get("Rss", 0), fields.get("Pss", 0), fields.get("Private_Dirty", 0))


def resident_kib_of(process_id):
    """VmRSS alone, which is quickly read."""
    try:
        pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGESIZE") // 1024


def wakeups_of(process_id):
    """How often the process's threads went to sleep of themselves, and so were woken, up to now."""
    count = 0
    for task in _tasks(process_id):
        try:
            lines = (task / "status").read_text().splitlines()
        except OSError:  # the thread has ended
            continue
        for line in lines:
            if line.startswith("voluntary_ctxt_switches:"):
                count += int(line.split()[1])
    return count


def name_of(process_id):
    return Path(f"/proc/{process_id}/comm").read_text().strip()


def processor_name():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def load_by_others(for_s=2):
    """Percent of all processors that is used at the moment: above a few, measurements are worth little."""
    def ticks():
        fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        return sum(fields[:8]), fields[3] + fields[4]  # all, idle

    all_before, idle_before = ticks()
    time.sleep(for_s)
    all_after, idle_after = ticks()
    percent = round(100 * (1 - (idle_after - idle_before) / (all_after - all_before)), 1)
    if percent > BUSY_PERCENT:
        print(f"other programs use {percent} % of the processors: the figures will tell of them too", file=sys.stderr)
    return percent
