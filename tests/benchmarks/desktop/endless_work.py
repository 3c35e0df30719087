"""Batches without end, so that an agent under measurement never runs out of work."""
import json
import subprocess
import threading
from pathlib import Path

LINES = 50_000  # the most a batch may have
LOW_WATER = 10_000  # unfinished requests; below it another batch is submitted
PERIOD_S = 5
CALL_PATIENCE_S = 120


class EndlessWork:
    """Keeps requests waiting at the coordinator. `fallow` is the signed-in program; `like` a batch file to repeat."""

    def __init__(self, fallow, like, model, folder, lines=LINES):
        self._fallow, self._model = fallow, model
        self._file = Path(folder) / "endless.jsonl"
        self._lines = lines
        self._write(Path(like).read_text().splitlines())
        self._stopped = threading.Event()
        self.trouble = None
        self._refill()
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
        jobs = json.loads(self._call("jobs", "--json"))["data"]
        waiting = 0
        for job in jobs:
            if job["status"] in ("validating", "in_progress"):
                counts = job["request_counts"]
                waiting += counts["total"] - counts["completed"] if counts["total"] else self._lines
        if waiting < LOW_WATER:
            self._call("submit", str(self._file), "--model", self._model)

    def _call(self, *verb):
        return subprocess.run([self._fallow, *verb], capture_output=True, text=True, check=True,
                              timeout=CALL_PATIENCE_S).stdout

    def close(self):
        self._stopped.set()
        self._thread.join()
