"""The line as a user meets it: it is there when it is needed, there is one, and it goes when it is not needed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from sides import PATIENCE, Host, Laptop, Runtime, free_port, started_sshd, until

from colab_remote.both.processes import started


def ok(laptop: Laptop, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    done = laptop(*words, **more)
    assert done.returncode == 0, done.stderr
    return done


def only(laptop: Laptop) -> int:
    """The process of the laptop's one line."""
    (pid,) = laptop.lines()
    return pid


def log(laptop: Laptop) -> str:
    return (laptop.home / ".local" / "state" / "colab-remote" / "log" / "colab").read_text()


def test_the_second_command_finds_the_line_of_the_first(host: Host) -> None:
    ok(host.laptop, "jobs")
    first = only(host.laptop)
    ok(host.laptop, "status")
    assert only(host.laptop) == first
    assert log(host.laptop).count("connected to") == 1
    connections = psutil.Process(first).net_connections("inet")
    assert [found.status for found in connections] == [psutil.CONN_ESTABLISHED], "nothing listens on the network"


def test_two_commands_at_once_start_one_line(host: Host) -> None:
    commands = [host.laptop.started("status") for _ in range(4)]
    for command in commands:
        said = command.communicate(timeout=PATIENCE)
        assert command.returncode == 0, said
    only(host.laptop)
    assert log(host.laptop).count("connected to") == 1


def test_a_command_on_a_warm_line_imports_neither_paramiko_nor_cryptography(host: Host) -> None:
    ok(host.laptop, "jobs")
    code = (
        "import sys; from colab_remote.cli import run; code = run(['jobs', '--json']);"
        "print(code, *sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=host.laptop.env, cwd=host.laptop.home, capture_output=True, text=True
    )
    code, *modules = done.stdout.splitlines()[-1].split()
    assert code == "0"
    assert "colab_remote" in modules
    assert not {"paramiko", "cryptography", "hashlib", "psutil", "rich"} & set(modules)


def test_it_ends_by_itself_without_use(host: Host) -> None:
    settings = host.laptop.home / ".config" / "colab-remote" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[line]\nidle = "0.3s"\n')
    ok(host.laptop, "jobs")
    until(lambda: not host.laptop.lines(), "the line is idle and stays")
    ok(host.laptop, "jobs")


def test_a_line_in_use_is_not_idle(host: Host) -> None:
    settings = host.laptop.home / ".config" / "colab-remote" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[line]\nidle = "0.2s"\n')
    done = ok(host.laptop, "run", "--", "sleep 1; echo done")
    assert done.stdout == "done\n"
    assert log(host.laptop).count("connected to") == 1


@pytest.mark.parametrize("idle", ["0", '"0m"'])
def test_a_user_who_wants_no_line_gets_none(host: Host, idle: str) -> None:
    settings = host.laptop.home / ".config" / "colab-remote" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[line]\nidle = {idle}\n")
    ok(host.laptop, "jobs")
    assert not host.laptop.lines()


def test_the_environment_says_that_there_is_no_line(host: Host) -> None:
    ok(host.laptop, "jobs", COLAB_REMOTE_LINE="0")
    assert not host.laptop.lines()


def test_settings_that_make_no_sense_are_named(host: Host) -> None:
    settings = host.laptop.home / ".config" / "colab-remote" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('[line]\nidle = "soon"\n')
    done = host.laptop("status")
    assert (done.returncode, done.stdout) == (2, "")
    assert "`[line] idle` is a duration, not `soon`" in done.stderr


def test_disconnect_ends_it(host: Host) -> None:
    ok(host.laptop, "jobs")
    pid = only(host.laptop)
    ok(host.laptop, "disconnect", "colab")
    until(lambda: not started(pid), "the line is still there")
    assert not list(Path(host.laptop.env["XDG_RUNTIME_DIR"]).rglob("*.sock"))


def test_disconnect_ends_one_that_does_not_answer(host: Host) -> None:
    ok(host.laptop, "jobs")
    pid = only(host.laptop)
    os.kill(pid, signal.SIGSTOP)
    ok(host.laptop, "disconnect", "colab")
    until(lambda: not started(pid), "the line is still there")


def test_another_installation_replaces_it(host: Host, tmp_path: Path) -> None:
    import colab_remote

    ok(host.laptop, "jobs")
    first = only(host.laptop)
    copy = tmp_path / "other" / "colab_remote"
    copy.parent.mkdir()
    subprocess.run(["cp", "-a", str(Path(colab_remote.__file__).parent), str(copy)], check=True)
    ok(host.laptop, "jobs", PYTHONPATH=str(copy.parent))
    until(lambda: not started(first), "the old line is still there")
    assert only(host.laptop) != first


def test_a_replaced_line_ends_after_what_it_has_lent(host: Host, tmp_path: Path) -> None:
    import colab_remote

    following = host.laptop.started("run", "--", "sleep 2; echo whole")
    until(host.laptop.lines, "no line")
    first = only(host.laptop)
    until(lambda: '"running"' in host.laptop("jobs", "--json").stdout, "the job does not begin")
    copy = tmp_path / "other" / "colab_remote"
    copy.parent.mkdir()
    subprocess.run(["cp", "-a", str(Path(colab_remote.__file__).parent), str(copy)], check=True)
    ok(host.laptop, "jobs", PYTHONPATH=str(copy.parent))
    said, errors = following.communicate(timeout=PATIENCE)
    assert (following.returncode, said) == (0, "whole\n"), errors
    assert "lost" not in errors
    until(lambda: not started(first), "the old line is still there")


def test_a_killed_line_is_a_clean_start_for_the_next_command(host: Host) -> None:
    ok(host.laptop, "jobs")
    first = only(host.laptop)
    os.kill(first, signal.SIGKILL)
    until(lambda: not started(first), "it lives")
    assert list(Path(host.laptop.env["XDG_RUNTIME_DIR"]).rglob("*.sock")), "a stale socket"
    ok(host.laptop, "jobs")
    assert only(host.laptop) != first


def test_a_pid_that_is_another_process_by_now_is_left_alone(host: Host) -> None:
    ok(host.laptop, "jobs")
    first = only(host.laptop)
    os.kill(first, signal.SIGKILL)
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        (record,) = Path(host.laptop.env["XDG_RUNTIME_DIR"]).rglob("*.json")
        record.write_text(json.dumps({**json.loads(record.read_text()), "pid": other.pid}))
        ok(host.laptop, "disconnect", "colab")
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_command_whose_line_is_killed_goes_on_with_another(host: Host) -> None:
    following = host.laptop.started("run", "--", "for i in 1 2 3 4; do echo $i; sleep 0.5; done")
    assert following.stdout
    assert following.stdout.readline() == "1\n"
    os.kill(only(host.laptop), signal.SIGKILL)
    rest, errors = following.communicate(timeout=PATIENCE)
    assert (following.returncode, rest) == (0, "2\n3\n4\n"), errors


def test_a_line_that_does_not_answer_is_named(host: Host) -> None:
    ok(host.laptop, "jobs")
    os.kill(only(host.laptop), signal.SIGSTOP)
    try:
        done = host.laptop("--timeout", "0.5", "status")
    finally:
        os.kill(only(host.laptop), signal.SIGCONT)
    assert (done.returncode, done.stdout) == (4, "")
    assert "the line to `colab` does not answer" in done.stderr


def test_its_files_are_for_their_owner_alone(host: Host) -> None:
    ok(host.laptop, "jobs")
    folder = Path(host.laptop.env["XDG_RUNTIME_DIR"]) / "colab-remote"
    assert folder.stat().st_mode & 0o777 == 0o700
    logs = host.laptop.home / ".local" / "state" / "colab-remote" / "log"
    for path in (*folder.iterdir(), *logs.iterdir()):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_folder_that_others_can_reach_is_refused(host: Host) -> None:
    folder = Path(host.laptop.env["XDG_RUNTIME_DIR"]) / "colab-remote"
    folder.mkdir(mode=0o755, exist_ok=True)
    folder.chmod(0o755)
    done = host.laptop("status")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not a folder of yours alone" in done.stderr
    folder.chmod(0o700)


def test_where_few_sessions_are_let_in_commands_wait_for_each_other(laptop: Laptop, tmp_path: Path) -> None:
    with started_sshd(tmp_path / "few", "MaxSessions 2") as few:
        few.admit(laptop.public_line())
        ok(laptop, "connect", few.ticket, "--open", "none")
        commands = [laptop.started("run", "--", "sleep 1; echo done") for _ in range(5)]
        said = [(*command.communicate(timeout=PATIENCE), command.returncode) for command in commands]
        laptop.end_lines()
    assert [(out, code) for out, _, code in said] == [("done\n", 0)] * 5, said
    assert any("waiting  `colab` lets in no further session" in errors for _, errors, _ in said)


def test_a_log_that_cannot_be_kept_is_named(host: Host) -> None:
    folder = host.laptop.home / ".local" / "state" / "colab-remote" / "log"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.touch()
    done = host.laptop("status")
    folder.unlink()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: `{folder}`: File exists\n")


def test_a_full_disk_does_not_end_it(host: Host, small_disk: Path) -> None:
    full = {"XDG_STATE_HOME": str(small_disk)}
    ok(host.laptop, "jobs", **full)
    first = only(host.laptop)
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(1 << 12))
    for _ in range(3):
        assert "\nline      since " in ok(host.laptop, "status", **full).stdout
    assert only(host.laptop) == first
    ok(host.laptop, "jobs", COLAB_REMOTE_LINE="0", **full)
    assert "defect" not in (small_disk / "colab-remote/log/colab").read_text()


def test_without_the_sessions_folder_there_is_a_line_too(host: Host) -> None:
    short = Path(host.laptop.env["XDG_RUNTIME_DIR"])
    gone = {"XDG_RUNTIME_DIR": str(short / "gone"), "TMPDIR": str(short)}
    ok(host.laptop, "jobs", **gone)
    assert list(short.glob("colab-remote-*/*.sock"))
    ok(host.laptop, "disconnect", "colab", **gone)


def test_a_long_home_has_a_line_too(host: Host, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    try:
        ok(host.laptop, "jobs", XDG_RUNTIME_DIR=str(deep))
    finally:
        ok(host.laptop, "disconnect", "colab", XDG_RUNTIME_DIR=str(deep))


def test_an_error_of_the_connection_keeps_its_words_hint_and_code(laptop: Laptop, tmp_path: Path) -> None:
    port = free_port()
    with started_sshd(tmp_path / "first", port=port) as runtime:
        runtime.admit(laptop.public_line())
        ok(laptop, "connect", runtime.ticket, "--open", "none")
    with_line, without = laptop("status"), laptop("status", COLAB_REMOTE_LINE="0")
    assert with_line.returncode == 4
    assert with_line.stderr == without.stderr
    assert "nobody listens at" in with_line.stderr
    with started_sshd(tmp_path / "other", port=port) as other:
        other.admit(laptop.public_line())
        with_line, without = laptop("status"), laptop("status", COLAB_REMOTE_LINE="0")
    assert with_line.returncode == 5
    assert with_line.stderr == without.stderr
    until(lambda: not laptop.lines(), "a line to nowhere stays")


def test_each_laptop_has_lines_of_its_own(host: Host, runtime: Runtime) -> None:
    ok(host.laptop, "jobs")
    ok(host.laptop, "connect", runtime.ticket, "--open", "none", "--name", "twin")
    ok(host.laptop, "jobs", "--host", "twin")
    assert len(host.laptop.lines()) == 2


def test_status_shows_it(host: Host) -> None:
    following = host.laptop.started("run", "--", "sleep 30")
    until(lambda: '"running"' in host.laptop("jobs", "--json").stdout, "the job does not begin")
    try:
        found = json.loads(ok(host.laptop, "status", "--json").stdout)
        shown = ok(host.laptop, "status").stdout
    finally:
        ok(host.laptop, "stop", "--grace", "0")
        following.communicate(timeout=PATIENCE)
    line = found["line"]
    assert line["pid"] == only(host.laptop)
    assert following.pid in line["users"]
    assert 0 < line["round_trip"] < 1
    assert line["since"] <= line["connected"] <= time.time()
    assert Path(line["log"]).read_text() == log(host.laptop)
    assert (line["up"], line["down"]) == (found["month"]["up"], found["month"]["down"])
    assert line["up"] > 1000
    assert f"used by run ({following.pid})" in shown
    assert f"its log is {line['log']}" in shown


def test_traffic_is_kept_by_host_and_month(host: Host) -> None:
    ok(host.laptop, "jobs")
    host.laptop.end_lines()
    first = json.loads(ok(host.laptop, "status", "--json").stdout)
    assert first["month"]["up"] > first["line"]["up"] > 0, "that of the first line is in it"
    month = time.strftime("%Y%m")
    assert (host.laptop.home / ".local/state/colab-remote/meter" / f"colab-{month}.json").exists()


def test_list_shows_it(host: Host) -> None:
    (known,) = json.loads(ok(host.laptop, "list", "--json").stdout)["hosts"]
    assert known["line"]["pid"] == only(host.laptop)
    assert {"since", "round_trip", "up", "down", "users"} <= set(known["line"])
    assert re.search(r" warm \d+ ms ", ok(host.laptop, "list").stdout)


def test_its_log_is_bounded(host: Host) -> None:
    path = host.laptop.home / ".local" / "state" / "colab-remote" / "log" / "colab"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x" * (1 << 18))
    ok(host.laptop, "jobs")
    assert sum(found.stat().st_size for found in path.parent.iterdir()) < 1 << 19
    assert len(log(host.laptop)) < 1000
