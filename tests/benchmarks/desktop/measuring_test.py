"""The measuring itself: a benchmark that misreads a yield would be believed."""
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import processes  # noqa: E402
from figures import histogram, median, percentile, slope  # noqa: E402
from processes import MS  # noqa: E402
from waiting import wait_until  # noqa: E402
from yield_trial import QUIET_NS, Claim, Observation, is_busy, judge, observe_input  # noqa: E402


def watched(stops_at_ms, input_at_ms=0, until_ms=600, spent_later_ms=0):
    """A process that is busy until a moment, seen each millisecond; later it spends a little more, at 300 ms."""
    samples = []
    for at in range(until_ms):
        used = min(at, stops_at_ms) + (spent_later_ms if at >= 300 else 0)
        samples.append((at * MS, used * MS))
    return Observation(input_at_ms * MS, samples)


class Yields(unittest.TestCase):
    def test_a_device_is_free_when_its_processes_stop(self):
        trial = judge(watched(stops_at_ms=40, input_at_ms=10))
        self.assertTrue(trial.observed)
        self.assertAlmostEqual(trial.observed_ms, 30, delta=1)

    def test_what_takes_less_than_the_allowance_is_not_work(self):
        self.assertAlmostEqual(judge(watched(40, spent_later_ms=0.5)).observed_ms, 40, delta=1)

    def test_work_that_is_taken_up_again_is_seen(self):
        self.assertAlmostEqual(judge(watched(40, spent_later_ms=5)).observed_ms, 300, delta=1)

    def test_a_process_that_never_stops_is_not_called_free(self):
        trial = judge(watched(stops_at_ms=1000))
        self.assertFalse(trial.observed)
        self.assertAlmostEqual(trial.observed_ms, 599, delta=1)

    def test_a_record_that_calls_a_busy_device_free_is_belied(self):
        honest = judge(watched(40), Claim(2 * MS, 41 * MS, "stopped"))
        self.assertEqual((honest.noticed_ms, honest.claimed_ms, honest.used_after_claim_ms), (2, 41, 0))
        self.assertAlmostEqual(judge(watched(40), Claim(2 * MS, 10 * MS, "stopped")).used_after_claim_ms, 30, delta=1)


class Watching(unittest.TestCase):
    def test_ends_when_a_process_that_worked_has_been_quiet(self):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:  # busy until its owner acts
            os.close(writing)
            os.set_blocking(reading, False)
            while True:
                try:
                    os.read(reading, 1)
                    break
                except BlockingIOError:
                    pass
            time.sleep(60)
            os._exit(0)

        class PipeOwner:
            def act(self):
                sent_at = time.monotonic_ns()
                os.write(writing, b"x")
                return sent_at

        try:
            self.assertTrue(is_busy([child], share=0.1))
            observation = observe_input(PipeOwner(), [child], limit_s=20)
            trial = judge(observation)
            self.assertTrue(trial.observed)
            self.assertLess(trial.observed_ms, 10_000)
            self.assertGreaterEqual(observation.samples[-1][0] - observation.input_at_ns, QUIET_NS)
            self.assertFalse(is_busy([child], share=0.1))
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)


def has_ended(process_id):
    """Whether it is gone, or waits to be reaped."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


class Processes(unittest.TestCase):
    def test_a_process_that_has_gone_keeps_what_it_used(self):
        child = os.fork()
        if child == 0:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                pass
            os._exit(0)
        used = processes.ProcessorTime([child])
        while used.total_ns() < 20 * MS:
            time.sleep(0.001)
        before = used.total_ns()
        os.kill(child, 9)
        os.waitpid(child, 0)
        self.assertGreaterEqual(used.total_ns(), before)

    def test_memory_is_that_of_the_process(self):
        before = processes.memory_of(os.getpid())
        ballast = bytearray(32 << 20)
        for page in range(0, len(ballast), 4096):
            ballast[page] = 1
        grown = processes.memory_of(os.getpid()).private_dirty_kib - before.private_dirty_kib
        self.assertAlmostEqual(grown, 32 << 10, delta=2 << 10)

    def test_what_is_left_below_a_stopped_program_is_ended(self):
        script = "sleep 300 & echo $!; wait"
        shell = processes.start(["sh", "-c", script], stdout=subprocess.PIPE, text=True)
        below = int(shell.stdout.readline())
        shell.stdout.close()
        self.assertEqual(processes.descendants(shell.pid), [shell.pid, below])
        processes.stop(shell, patience_s=10)
        wait_until("the process below has ended", lambda: has_ended(below), patience_s=10)

    def test_a_program_ends_with_the_one_that_started_it(self):
        # Once the program runs: one whose starter has gone before cannot be told any more.
        script = ("import os, processes, subprocess\n"
                  "program = processes.start(['sh', '-c', 'echo up; exec sleep 300'], stdout=subprocess.PIPE)\n"
                  "program.stdout.readline()\n"
                  "print(program.pid, flush=True)\n"
                  "os._exit(0)")
        run = subprocess.run([sys.executable, "-B", "-c", script], cwd=Path(__file__).parent, check=True, text=True,
                             stdout=subprocess.PIPE, timeout=10)
        wait_until("the program has ended", lambda: has_ended(int(run.stdout)), patience_s=10)

    def test_descendants_are_found_below_children(self):
        self.assertIn(os.getpid(), processes.descendants(os.getppid()))


class Figures(unittest.TestCase):
    def test_a_percentile_is_a_value_that_was_measured(self):
        values = list(range(1, 201))
        self.assertEqual([percentile(values, percent) for percent in (50, 99, 100)], [100, 198, 200])
        self.assertEqual(percentile([7], 99), 7)

    def test_medians_and_slopes(self):
        self.assertEqual((median([3, 1, 2]), median([4, 1, 2, 3])), (2, 2.5))
        self.assertEqual(slope([(0, 1), (1, 3), (2, 5)]), 2)
        self.assertEqual(slope([(1, 3)]), 0)

    def test_a_histogram_counts_each_value_once(self):
        text = histogram({"ours": [1, 5, 6, 90], "theirs": [700]})
        counts = [[int(word) for word in line.split() if word.isdigit()] for line in text.replace(",", "").splitlines()[1:]]
        self.assertEqual(counts[0], [5, 2, 0])
        self.assertEqual(sum(line[1] for line in counts), 4)


if __name__ == "__main__":
    unittest.main()
