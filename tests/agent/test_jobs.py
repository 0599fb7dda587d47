"""Jobs on the runtime: the agent in a process of its own, real jobs, real files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sides import SMALL_DISK, Loopback, until

from colab_remote.both.jobrecord import make_id
from colab_remote.both.whole import read_json
from colab_remote.errors import ColabRemoteError, NotStarted
from colab_remote.laptop.conversation import Conversation, Exchange

PATIENCE = 20.0


class Machine:
    """A runtime's state folder and working folder, and conversations with agents there."""

    def __init__(self, folder: Path) -> None:
        self.state, self.work = folder / "state", folder / "work 한글"
        self.work.mkdir()
        self.agents: list[subprocess.Popen[bytes]] = []
        self.streams: list[socket.socket] = []

    def agent(self) -> Conversation:
        """A conversation with a new agent."""
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "COLAB_REMOTE_STATE": str(self.state)}
        command = [sys.executable, "-m", "colab_remote.agent"]
        self.agents.append(subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno(), env=environment))
        theirs.close()
        while ours.recv(1) != b"\n":
            pass
        self.streams.append(ours)
        return Conversation(ours, Loopback("test"))

    def start(self, agent: Conversation, command: str, **more: Any) -> dict[str, Any]:
        """Start a job with the defaults that a test does not care about."""
        asked: dict[str, Any] = {
            "id": make_id(),
            "name": "",
            "stem": "job",
            "taken": [],
            "command": command,
            "kind": "run",
        }
        asked |= {"project": "", "folder": str(self.work), "tty": False, "environment": {}, "about": {}, **more}
        return agent.ask("job_start", **asked).result

    def close(self) -> None:
        for stream in self.streams:
            stream.close()
        for process in self.agents:
            process.wait(PATIENCE)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    yield made
    agent = made.agent()
    for job in agent.ask("job_list").listing():
        agent.ask("job_stop", id=job["id"], grace=0)
    made.close()


@pytest.fixture
def agent(machine: Machine) -> Conversation:
    return machine.agent()


def log_of(agent: Conversation, job: dict[str, Any], offset: int = 0, on: bool = True) -> tuple[bytes, dict[str, Any]]:
    reply = agent.ask("job_follow", id=job["id"], offset=offset, notes=0, on=on)
    return reply.data, reply.result


def test_a_job_runs_in_its_folder_and_its_log_and_code_are_kept(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "pwd; echo '한글' >&2; exit 3")
    log, facts = log_of(agent, job)
    assert log.decode() == f"{machine.work}\n한글\n"
    assert (facts["state"], facts["code"], facts["offset"]) == ("failed", 3, len(log))


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        '{"format": 1}',
        '{"format": 1, "environment": [], "job_environment": null}',
        '{"format": 1, "environment": {"A=": "1", "": "1", "B": 2, "C": "\\u0000"}, "job_environment": {"D": []}}',
        "[" * 10**5,
    ],
)
def test_a_job_runs_where_the_recorded_environment_is_damaged(machine: Machine, damaged: str) -> None:
    machine.state.mkdir()
    (machine.state / "environment.json").write_text(damaged)
    agent = machine.agent()
    log, _ = log_of(agent, machine.start(agent, "echo runs"))
    assert log == b"runs\n"


@pytest.mark.parametrize("name", ["job.json", "run.json", "exit.json"])
@pytest.mark.parametrize("damaged", ["", '{"format": 1}', '{"format": 1, "pid": "x", "name": [], "code": {}}', "[]"])
def test_a_damaged_record_of_a_job_is_an_error_or_left_out(machine: Machine, name: str, damaged: str) -> None:
    agent = machine.agent()
    job = machine.start(agent, "true")
    log_of(agent, job)
    (machine.state / "jobs" / job["id"] / name).write_text(damaged)
    for asked in (
        {"method": "job_list"},
        {"method": "job_follow", "id": job["id"], "offset": 0, "notes": 0, "on": False},
    ):
        with contextlib.suppress(ColabRemoteError):
            agent.ask(**asked)
    log, _ = log_of(agent, machine.start(agent, "echo runs"))
    assert log == b"runs\n"


def test_output_is_one_log_in_order_with_the_jobs_own_bytes(machine: Machine, agent: Conversation) -> None:
    command = r"for i in 1 2 3; do printf 'out%d\r' $i; printf '\033[31merr%d\377\n' $i >&2; done"
    log, _ = log_of(agent, machine.start(agent, command))
    assert log == b"".join(b"out%d\r\x1b[31merr%d\xff\n" % (i, i) for i in (1, 2, 3))


def test_starting_twice_with_one_id_starts_once(machine: Machine, agent: Conversation) -> None:
    identity = make_id()
    first = machine.start(agent, "echo once >> count; sleep 60", id=identity)
    second = machine.start(machine.agent(), "echo twice >> count", id=identity)
    assert first["pid"] == second["pid"]
    assert second["command"] == first["command"]
    until((machine.work / "count").exists)
    assert (machine.work / "count").read_text() == "once\n"


def test_a_job_outlives_its_agent(machine: Machine) -> None:
    agent = machine.agent()
    job = machine.start(agent, "until test -e go; do sleep 0.02; done; echo went; exit 7")
    agent.close()
    machine.agents[-1].wait(PATIENCE)
    (machine.work / "go").touch()
    log, facts = log_of(machine.agent(), job)
    assert (log, facts["code"]) == (b"went\n", 7)


def test_the_end_is_recorded_though_nobody_watches(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "kill -9 $$")
    agent.close()
    end = machine.state / "jobs" / job["id"] / "exit.json"
    until(end.exists)
    assert (read_json(end)["signal"], read_json(end)["code"]) == (9, None)


def test_a_log_is_followed_by_offset_while_it_grows(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "echo one; until test -e go; do sleep 0.02; done; echo two")
    exchange = agent.start("job_follow", id=job["id"], offset=2, notes=0, on=True)
    pieces = (piece for piece in exchange if isinstance(piece, bytes))
    assert next(pieces) == b"e\n"
    (machine.work / "go").touch()
    assert b"".join(pieces) == b"two\n"
    assert exchange.result["state"] == "done"


def test_following_can_be_cancelled_and_the_job_goes_on(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "echo one; sleep 60")
    exchange = agent.start("job_follow", id=job["id"], offset=0, notes=0, on=True)
    pieces = (piece for piece in exchange if isinstance(piece, bytes))
    assert next(pieces) == b"one\n"
    exchange.cancel()
    assert list(pieces) == []
    assert exchange.result["state"] == "running"


def test_without_on_the_log_is_read_up_to_now(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "echo one; sleep 60")
    until(lambda: log_of(agent, job, on=False)[0] == b"one\n")
    assert log_of(agent, job, on=False)[1]["state"] == "running"


def test_stop_ends_the_whole_group_and_grace_is_given(machine: Machine, agent: Conversation) -> None:
    job = machine.start(
        agent, "trap 'echo saving; exit 0' TERM; (exec sleep 60) & echo $!; while :; do sleep 0.05; done"
    )
    child = int(until(lambda: log_of(agent, job, on=False)[0]))
    assert agent.ask("job_stop", id=job["id"], grace=20).result["state"] == "stopped"
    assert log_of(agent, job)[0].endswith(b"saving\n")
    until(lambda: _gone(child))


@pytest.mark.parametrize("command", ["python3 saves.py; true", "python3 saves.py 2>&1 | tee log"])
def test_the_grace_is_not_the_shells(machine: Machine, agent: Conversation, command: str) -> None:
    (machine.work / "saves.py").write_text(
        "import pathlib, signal, time\n"
        "told = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: told.append(1))\n"
        "print('up', flush=True)\n"
        "while not told:\n"
        "    time.sleep(0.01)\n"
        "time.sleep(3)\n"
        "pathlib.Path('saved').write_text(str(len(told)))\n"
    )
    job = machine.start(agent, command)
    until(lambda: log_of(agent, job, on=False)[0] == b"up\n")
    assert agent.ask("job_stop", id=job["id"], grace=60).result["state"] == "stopped"
    assert (machine.work / "saved").read_text() == "1"


def test_a_runner_whose_record_was_removed_ends_with_its_job(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "until test -e go; do sleep 0.02; done")
    record = machine.state / "jobs" / job["id"]
    runner = json.loads((record / "run.json").read_text())["runner"]
    shutil.rmtree(record)
    (machine.work / "go").touch()
    until(lambda: _gone(runner))


def test_a_second_stop_may_be_a_sooner_one(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "trap '' TERM; echo up; while :; do sleep 0.05; done")
    until(lambda: log_of(agent, job, on=False)[0] == b"up\n")
    agent.start("job_stop", id=job["id"], grace=600)
    other = machine.agent()
    until(lambda: (machine.state / "jobs" / job["id"] / "stop.json").exists())
    assert other.ask("job_stop", id=job["id"], grace=0).result["state"] == "stopped"


def test_stop_kills_what_does_not_listen_when_the_grace_is_over(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    until(lambda: log_of(agent, job, on=False)[0])
    facts = agent.ask("job_stop", id=job["id"], grace=0.2).result
    assert (facts["state"], facts["signal"]) == ("stopped", signal.SIGKILL)


def test_stopping_goes_on_when_the_laptop_is_gone(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    until(lambda: log_of(agent, job, on=False)[0])
    agent.start("job_stop", id=job["id"], grace=0.5)
    until((machine.state / "jobs" / job["id"] / "stop.json").exists)
    agent.close()
    until((machine.state / "jobs" / job["id"] / "exit.json").exists)


def test_stopping_a_job_that_is_over_changes_nothing(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "exit 4")
    log_of(agent, job)
    facts = agent.ask("job_stop", id=job["id"], grace=1).result
    assert (facts["state"], facts["code"]) == ("failed", 4)


def test_what_a_command_leaves_behind_ends_with_it(machine: Machine, agent: Conversation) -> None:
    log, facts = log_of(agent, machine.start(agent, "sleep 60 & echo $!; exit 5"))
    assert facts["code"] == 5
    until(lambda: _gone(int(log)))


def test_values_reach_the_job_and_nothing_else(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "echo ${#SECRET_TOKEN}; sleep 60", environment={"SECRET_TOKEN": "hush-hush"})
    until(lambda: log_of(agent, job, on=False)[0] == b"9\n")
    written = b"".join(path.read_bytes() for path in machine.state.rglob("*") if path.is_file())
    argv = b"".join(Path(f"/proc/{name}/cmdline").read_bytes() for name in (job["pid"], os.getpid()))
    assert b"hush-hush" not in written + argv
    runner = read_json(machine.state / "jobs" / job["id"] / "run.json")["runner"]
    assert b"hush-hush" not in Path(f"/proc/{runner}/environ").read_bytes()


def test_the_record_tells_environments_apart_and_how_much_a_job_used(machine: Machine, agent: Conversation) -> None:
    records = []
    for value in ("1", "1", "2"):
        job = machine.start(agent, "head -c 99000000 /dev/zero | tail -c 90000000 | wc", environment={"A": value})
        log_of(agent, job)
        records.append(machine.state / "jobs" / job["id"])
    same, again, other = (read_json(record / "job.json")["environment"] for record in records)
    assert same == again != other
    ended = read_json(records[0] / "exit.json")
    assert ended["cpu_seconds"] > 0
    assert ended["largest_bytes"] > 80e6


def test_a_job_begins_before_the_first_file_that_it_writes(machine: Machine, agent: Conversation) -> None:
    for number in range(30):  # what a job made is known by its time
        job = machine.start(agent, f"touch made-{number}")
        _, facts = log_of(agent, job)
        assert (machine.work / f"made-{number}").stat().st_mtime >= facts["started"]


def test_several_jobs_run_at_once(machine: Machine, agent: Conversation) -> None:
    started = [machine.start(agent, f"until test -e go; do sleep 0.02; done; echo {number}") for number in range(5)]
    assert {job["state"] for job in agent.ask("job_list").listing()} == {"running"}
    (machine.work / "go").touch()
    assert [log_of(agent, job)[0] for job in started] == [b"%d\n" % number for number in range(5)]


def test_a_job_reads_nothing_and_holds_no_file_of_ours(machine: Machine, agent: Conversation) -> None:
    log, _ = log_of(agent, machine.start(agent, "cat; ls /proc/self/fd | wc -l"))
    assert int(log) == 4  # 0, 1, 2 and the folder that ls reads


def typing_at(machine: Machine, job: dict[str, Any]) -> Exchange:
    return machine.agent().start("job_keys", id=job["id"])


def test_a_job_with_a_terminal_is_typed_to_and_hears_of_its_windows_size(machine: Machine, agent: Conversation) -> None:
    command = (
        'tty -s && stty size; until [ "$(stty size)" = \'50 132\' ]; do sleep 0.02; done; read a; echo "[$a]"; cat'
    )
    job = machine.start(agent, command, tty=True)
    until(lambda: log_of(agent, job, on=False)[0] == b"24 80\r\n")
    keys = typing_at(machine, job)
    keys.tell({"rows": 50, "columns": 132})
    keys.send("한글\r".encode())
    until(lambda: log_of(agent, job, on=False)[0].endswith("한글\r\n[한글]\r\n".encode()))
    keys.send(b"\x03")
    assert log_of(agent, job)[1]["signal"] == signal.SIGINT


def test_a_paste_larger_than_any_buffer_arrives_whole(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "stty raw -echo; echo ready; head -c 1000000 | md5sum", tty=True)
    until(lambda: b"ready" in log_of(agent, job, on=False)[0])
    pasted = os.urandom(1_000_000)
    keys = typing_at(machine, job)
    for begin in range(0, len(pasted), 1 << 16):
        keys.send(pasted[begin : begin + (1 << 16)])
    assert hashlib.md5(pasted).hexdigest().encode() in log_of(agent, job)[0]


def test_a_shell_at_a_terminal_ends_with_its_jobs(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "exec bash --norc -i", tty=True)
    typing_at(machine, job).send(b"sleep 60 & echo =$!=\r")
    child, *_ = until(lambda: re.findall(rb"=(\d+)=", log_of(agent, job, on=False)[0]))
    assert agent.ask("job_stop", id=job["id"], grace=0).result["state"] == "stopped"
    until(lambda: _gone(int(child)))


def test_keys_for_a_job_without_a_terminal_are_refused(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "sleep 60")
    with pytest.raises(ColabRemoteError, match="no terminal"):
        agent.ask("job_keys", id=job["id"])


def test_a_dead_runner_leaves_a_lost_job_and_no_guess(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "sleep 60")
    ran = read_json(machine.state / "jobs" / job["id"] / "run.json")
    os.kill(ran["runner"], signal.SIGKILL)
    facts = agent.ask("job_stop", id=job["id"], grace=5).result
    assert (facts["state"], facts["vm_lives"]) == ("lost", True)
    until(lambda: _gone(job["pid"]))


def test_another_boot_makes_a_running_job_lost(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "sleep 60")
    path = machine.state / "jobs" / job["id"] / "run.json"
    ours = path.read_text()
    path.write_text(ours.replace(read_json(path)["boot"], "00000000-0000-0000-0000-000000000000"))
    facts = log_of(agent, job)[1]
    assert (facts["state"], facts["vm_lives"]) == ("lost", False)
    path.write_text(ours)


def test_jobs_are_listed_with_names_that_count_up(machine: Machine, agent: Conversation) -> None:
    for more in ({}, {"taken": ["job-6"]}, {"name": '-x "한글" \n'}):
        machine.start(agent, "true", **more)
    found = agent.ask("job_list").listing()
    assert {job["name"] for job in found} == {"job-1", "job-7", '-x "한글" \n'}


def test_a_folder_that_is_missing_is_said_and_nothing_is_recorded(machine: Machine, agent: Conversation) -> None:
    with pytest.raises(NotStarted, match="no folder"):
        machine.start(agent, "true", folder=str(machine.work / "none"))
    assert agent.ask("job_list").listing() == []


@pytest.mark.parametrize("identity", ["../../etc", "20261124-120000-abcd/../x", "", "-1"])
def test_an_id_that_is_none_is_refused(agent: Conversation, identity: str) -> None:
    with pytest.raises(ColabRemoteError, match="no job's id"):
        agent.ask("job_follow", id=identity, offset=0, notes=0, on=False)


def test_a_full_disk_costs_what_did_not_fit_and_the_job_goes_on(
    machine: Machine, agent: Conversation, small_disk: Path
) -> None:
    machine.state = small_disk
    agent = machine.agent()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(SMALL_DISK // 2))
    wait = "until test -e go; do sleep 0.02; done"
    job = machine.start(agent, f"seq 1 200000; touch finished; {wait}; echo after; exit 3")
    until((machine.work / "finished").exists)
    ballast.unlink()
    (machine.work / "go").touch()
    log, facts = log_of(agent, job)
    assert facts["code"] == 3
    head, said, tail = re.split(rb"\n\[(\d+) bytes of this log are missing: the disk was full\]\n", log)
    whole = b"".join(b"%d\n" % number for number in range(1, 200001))
    assert whole.startswith(head)
    assert tail == b"after\n"
    assert len(head) + int(said) == len(whole)


def test_a_large_log_arrives_whole_and_the_job_is_not_held_up(machine: Machine, agent: Conversation) -> None:
    job = machine.start(agent, "seq 1 2000000; touch finished")
    until((machine.work / "finished").exists)
    log, _ = log_of(agent, job)
    assert log.endswith(b"\n1999999\n2000000\n")
    assert len(log) == 14888896


def _gone(pid: int) -> bool:
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
