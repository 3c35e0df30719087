"""Batches without end, so that an agent under measurement never runs out of work."""
import json
import subprocess
import threading
from pathlib import Path

from waiting import wait_until

LINES = 50_000  # the most a batch may have
FIRST_BATCHES = 4  # checking a batch loads the machine, so most of the work is there before anything is measured
LOW_WATER = 20_000  # unfinished requests; below it another batch is submitted
PERIOD_S = 10
CALL_PATIENCE_S = 120
CHECK_PATIENCE_S = 300


class EndlessWork:
    """Keeps requests waiting at the coordinator. `fallow` is the signed-in program; `like` a batch file to repeat."""

    def __init__(self, fallow, like, model, folder, lines=LINES):
        self._fallow, self._model = fallow, model
        self._file = Path(folder) / "endless.jsonl"
        self._lines = lines
        self._write(Path(like).read_text().splitlines())
        self._stopped = threading.Event()
        self.trouble = None
        for _ in range(FIRST_BATCHES):
            self._submit()
        wait_until("the batches are checked", lambda: not self._being_checked(), CHECK_PATIENCE_S)
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def _write(self, examples):
        with open(self._file, "w") as out:
            for number in range(self._lines):
                line = json.loads(examples[number % len(examples)])
                line["custom_id"] = f"line-{number}"
                out.write(json.dumps(line) + "\n")

    def _keep(self):
        while not self._stopped.wait(PERIOD_S):
            try:
                self._refill()
            except Exception as error:  # told by whoever then waits in vain for work
                self.trouble = error

    def _refill(self):
        waiting = 0
        for job in self._jobs("in_progress"):
            waiting += job["request_counts"]["total"] - job["request_counts"]["completed"]
        if waiting < LOW_WATER and not self._being_checked():
            self._submit()

    def _being_checked(self):
        return self._jobs("validating")

    def _jobs(self, state):
        return [job for job in json.loads(self._call("jobs", "--json"))["data"] if job["status"] == state]

    def _submit(self):
        self._call("submit", str(self._file), "--model", self._model)

    def _call(self, *verb):
        return subprocess.run([self._fallow, *verb], capture_output=True, text=True, check=True,
                              timeout=CALL_PATIENCE_S).stdout

    def close(self):
        self._stopped.set()
        self._thread.join()
