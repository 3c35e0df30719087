"""boinc-client with a project of our own: tasks that are there already, so it needs no server and no network.

What it reads at its start says everything: an account, app_info.xml (a program that the owner brings himself,
so that nothing is signed) and a client_state.xml with tasks whose files are present. Its preferences are to
compute only after 3 s without input, the shortest that its whole seconds tell safely, on every processor.
"""
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import processes

PROGRAM = "boinc"
IDLE_S = 3
POLL_INTERVAL = "POLL_INTERVAL 1.0 s (client/client_state.h), idle time in whole seconds (HOST_INFO::user_idle_time, client/hostinfo_unix.cpp)"
QUIT_TIMEOUT = "QUIT_TIMEOUT 60 s (client/client_state.h), then it kills"
STOP_PATIENCE_S = 20  # it waits 15 s for its tasks
_URL = "http://localhost/bench/"
_FOLDER = "localhost_bench"  # what it makes of the address
_TASK = "bench_task"

_CONFIG = """\
<cc_config>
<log_flags><task>1</task><cpu_sched>1</cpu_sched></log_flags>
<options>
<skip_cpu_benchmarks>1</skip_cpu_benchmarks>
<no_gpus>1</no_gpus>
<allow_multiple_clients>1</allow_multiple_clients>
</options>
</cc_config>
"""

_PREFERENCES = f"""\
<global_preferences>
<run_if_user_active>0</run_if_user_active>
<idle_time_to_run>{IDLE_S / 60}</idle_time_to_run>
<leave_apps_in_memory>1</leave_apps_in_memory>
<suspend_cpu_usage>0</suspend_cpu_usage>
<max_ncpus_pct>100</max_ncpus_pct>
<cpu_usage_limit>100</cpu_usage_limit>
</global_preferences>
"""

_APP_INFO = f"""\
<app_info>
<app><name>{_TASK}</name></app>
<file_info><name>{_TASK}</name><executable/></file_info>
<app_version>
<app_name>{_TASK}</app_name>
<version_num>100</version_num>
<file_ref><file_name>{_TASK}</file_name><main_program/></file_ref>
</app_version>
</app_info>
"""

_FAR = 30 * 86_400  # s from now: no deadline and no call to a server before the benchmark ends


def _state(task_count, platform):
    now = time.time()
    text = f"""\
<client_state>
<project>
<master_url>{_URL}</master_url>
<project_name>bench</project_name>
<hostid>1</hostid>
<dont_request_more_work/>
<min_rpc_time>{now + _FAR}</min_rpc_time>
<next_rpc_time>{now + _FAR}</next_rpc_time>
</project>
"""
    for number in range(task_count):
        text += f"""\
<workunit>
<name>work{number}</name>
<app_name>{_TASK}</app_name>
<version_num>100</version_num>
<rsc_fpops_est>1e18</rsc_fpops_est>
<rsc_fpops_bound>1e22</rsc_fpops_bound>
<rsc_memory_bound>1e8</rsc_memory_bound>
<rsc_disk_bound>1e8</rsc_disk_bound>
</workunit>
<result>
<name>work{number}_0</name>
<wu_name>work{number}</wu_name>
<report_deadline>{now + _FAR}</report_deadline>
<received_time>{now}</received_time>
<state>2</state>
<platform>{platform}</platform>
<version_num>100</version_num>
</result>
"""
    # 3: never use the network
    return text + "<user_network_request>3</user_network_request>\n</client_state>\n"


def _free_port():
    """For its calls from other programs: 31416 may be another client's, and then it would end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def version():
    """ "7.20.5", or None if there is no boinc-client here. """
    if shutil.which(PROGRAM) is None:
        return None
    run = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\.\d+", run.stdout + run.stderr)
    return found.group() if found else "of unknown version"


class Boinc:
    """A running client. `task`: the program of boinc_task.cc; none: it has no project and nothing to do."""

    def __init__(self, folder, environment, task=None):
        self.folder = Path(folder)
        (self.folder / "slots").mkdir(parents=True)
        (self.folder / "cc_config.xml").write_text(_CONFIG)
        (self.folder / "global_prefs_override.xml").write_text(_PREFERENCES)
        if task is not None:
            self._add_project(task)
        self.log_path = self.folder / "log"
        with open(self.log_path, "ab") as log:
            self._process = processes.start(
                [PROGRAM, "--dir", str(self.folder), "--gui_rpc_port", str(_free_port())], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env={**os.environ, **environment}, start_new_session=True)

    def _add_project(self, task):
        project = self.folder / "projects" / _FOLDER
        project.mkdir(parents=True)
        shutil.copy(task, project / _TASK)
        (project / "app_info.xml").write_text(_APP_INFO)
        (self.folder / f"account_{_FOLDER}.xml").write_text(
            f"<account>\n<master_url>{_URL}</master_url>\n<authenticator>0</authenticator>\n</account>\n")
        platform = f"{os.uname().machine}-pc-linux-gnu"
        (self.folder / "client_state.xml").write_text(_state(os.cpu_count(), platform))

    @property
    def process_id(self):
        return self._process.pid

    def check_running(self):
        if self._process.poll() is not None:
            end = self.log_path.read_text(errors="replace").splitlines()[-5:]
            raise RuntimeError("\n".join([f"boinc-client ended with {self._process.returncode}:", *end]))

    def task_processes(self):
        self.check_running()
        return [process for process in processes.descendants(self.process_id) if process != self.process_id]

    def close(self):
        processes.stop(self._process, STOP_PATIENCE_S)
