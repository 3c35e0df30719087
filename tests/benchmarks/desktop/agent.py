"""The agent under measurement: started, asked what it does, stopped."""
import json
import os
import subprocess
from pathlib import Path

import processes
from waiting import Patience, wait_until
from yield_trial import is_busy

START_PATIENCE_S = 90  # a first start compiles the driver's shaders
ANSWER_PATIENCE_S = 20
STOP_PATIENCE_S = 10
HELPER = "fallow-session"

# The benchmark's own programs load the machine, and they are no owner's.
ALONE_ON_THE_MACHINE = """\
[load]
foreign_cpu_percent = 100
foreign_gpu_percent = 100
cpu_pressure_percent = 100

[quiet]
level = "full"
"""


class Agent:
    """An agent that has joined already. `folder` holds its state, `settings` is its agent.toml's text."""

    def __init__(self, program, folder, log_path, environment, options, settings=""):
        self._program, self._folder, self._log_path = program, folder, log_path
        self._environment = {**os.environ, **environment}
        self._settings_path = Path(self._environment["XDG_CONFIG_HOME"]) / "fallow" / "agent.toml"
        self._settings_path.parent.mkdir(parents=True, exist_ok=True)
        self.follow(settings)
        with open(log_path, "ab") as log:
            # A session of its own, as a service manager or a login would give it.
            self._process = processes.start(
                [program, "run", "--state-dir", folder, *options], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=self._environment, start_new_session=True)
        try:
            wait_until("the agent answers", self._status_or_none, START_PATIENCE_S)
        except BaseException:
            self.close()
            raise

    def follow(self, settings):
        """Puts another text into its agent.toml, which it follows at once."""
        self._settings_path.write_text(settings)

    @property
    def process_id(self):
        return self._process.pid

    def status(self):
        """Its `status --json`. On a loaded machine one call may come too late."""
        return wait_until("the agent answers", self._status_or_none, ANSWER_PATIENCE_S)

    def _status_or_none(self):
        if self._process.poll() is not None:
            raise RuntimeError(f"the agent ended with {self._process.returncode}: see {self._log_path}")
        run = self._run("status", "--json")
        return json.loads(run.stdout) if run.returncode == 0 else None

    def call(self, *verb):
        """`fallow-agent VERB…` for this agent."""
        run = self._run(*verb)
        if run.returncode != 0:
            raise RuntimeError(f"fallow-agent {' '.join(verb)}: {run.stderr.strip()}")
        return run.stdout

    def _run(self, *verb):
        return subprocess.run([self._program, *verb, "--state-dir", self._folder], capture_output=True, text=True,
                              env=self._environment, timeout=START_PATIENCE_S, check=False)

    def worker_processes(self):
        """Those that compute; none if there is no worker."""
        worker = self.status()["worker"]["process_id"]
        return processes.descendants(worker) if worker is not None else []

    def wait_until_computing(self, patience_s, computing=None):
        """Until its worker uses a processor, or `computing()` is true; gives what that gave."""
        try:
            return wait_until("the agent computes", computing or (lambda: is_busy(self.worker_processes())), patience_s)
        except Patience as trouble:
            status = self.status()
            raise Patience(f"{trouble}; it is {status['state']}: {status['reason']}. All programs together use "
                           f"{processes.load_by_others()} % of the processors, and it gives way to all others") from None

    def standing_processes(self):
        """The daemon and its session helper: what is there while the owner works."""
        workers = set(self.worker_processes())
        return [process for process in processes.descendants(self.process_id) if process not in workers]

    def close(self):
        processes.stop(self._process, STOP_PATIENCE_S)
