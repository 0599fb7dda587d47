"""Jobs on the command line, against a real sshd: run, logs, stop, jobs, and what they end with."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from sides import PATIENCE, Host, Laptop, until

from colab_remote.both.jobrecord import make_id
from colab_remote.both.protocol import LARGEST
from colab_remote.laptop.contact import contact
from colab_remote.laptop.history import all_known, choose
from colab_remote.laptop.hosts import load_host
from colab_remote.laptop.jobs import follow


def job_id(host: Host, *words: str) -> str:
    """The id of a job started detached."""
    done = host.laptop("run", "--detach", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def known_jobs(host: Host, *words: str) -> list[dict[str, Any]]:
    """What `jobs` lists."""
    done = host.laptop("jobs", "--json", *words)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["jobs"]
    return found


def test_run_gives_the_commands_output_and_its_exit_code(host: Host) -> None:
    done = host.laptop("run", "--", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "out\nerr\n")
    assert "Ctrl-C leaves it running" in done.stderr


def test_words_reach_the_command_as_they_are(host: Host) -> None:
    words = ("-x", "a b", "'\"", "한글", "$HOME", "*")
    done = host.laptop("run", "--", "python3", "-c", "import sys; print(sys.argv[1:])", *words)
    assert done.stdout == f"{list(words)}\n"


def test_a_job_sees_nothing_of_the_connection_that_started_it(host: Host) -> None:
    done = host.laptop("run", "--", "env | grep ^SSH_")
    assert (done.returncode, done.stdout) == (1, "")


def test_outside_a_project_nothing_is_uploaded_and_the_working_directory_is_used(host: Host) -> None:
    (host.laptop.home / "private").write_text("mine")
    before = sorted(host.runtime.workdir.iterdir())
    done = host.laptop("run", "--", "pwd")
    assert done.stdout == f"{host.runtime.workdir}\n"
    assert sorted(host.runtime.workdir.iterdir()) == before


def test_a_detached_jobs_id_is_alone_on_stdout_and_logs_follow_it_to_its_code(host: Host) -> None:
    identity = job_id(host, "--", "echo begun; sleep 0.5; exit 3")
    done = host.laptop("logs", "-f", identity)
    assert (done.returncode, done.stdout) == (3, "begun\n")
    assert host.laptop("logs", identity).stdout == "begun\n"


def test_a_jobs_own_bytes_come_through(host: Host) -> None:
    identity = job_id(host, "--", r"printf 'a\rb\033[31m\xff\n'")
    with host.laptop.started("logs", "-f", identity) as shown:
        assert isinstance(shown.stdout, io.TextIOWrapper)
        assert shown.stdout.buffer.read() == b"a\rb\x1b[31m\xff\n"


def test_whoever_follows_a_log_beside_others_is_shown_all_of_it(host: Host) -> None:
    identity = job_id(host, "--", "for i in $(seq 600); do echo $i; sleep 0.005; done")
    followers = []
    for _ in range(6):
        followers.append(host.laptop.started("logs", "-f", identity))
        time.sleep(0.3)  # those before are at it when the next one begins
    shown = [follower.communicate(timeout=PATIENCE)[0] for follower in followers]
    assert shown == ["".join(f"{number}\n" for number in range(1, 601))] * 6


def test_what_came_home_by_another_command_meanwhile_is_shown_too(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = job_id(host, "--", "seq 1000")
    whole = host.laptop("logs", "-f", identity).stdout.encode()
    for name, value in {**host.laptop.env, "COLAB_REMOTE_LINE": "0"}.items():
        monkeypatch.setenv(name, value)
    shown = bytearray()
    with contact(load_host("colab"), PATIENCE, print) as made:
        follow(made, None, choose(identity, all_known()), shown.extend, begin=100)
    assert shown == whole[100:]


def test_the_last_lines_of_a_log(host: Host) -> None:
    identity = job_id(host, "--", "seq 1 5000; printf tail")
    assert host.laptop("logs", "-f", identity).returncode == 0
    assert host.laptop("logs", "-n", "3", identity).stdout == "4999\n5000\ntail"
    assert host.laptop("logs", "-n", "0", identity).stdout == ""


def test_since_and_timestamps_by_this_laptops_clock(host: Host) -> None:
    identity = job_id(host, "--", "echo first; sleep 1.5; printf 'sec'; sleep 0.5; printf 'ond bar\\nthird'")
    begun = time.time()
    live = host.laptop("logs", "-f", "--timestamps", identity).stdout.split("\n")
    stamped = host.laptop("logs", "--timestamps", identity).stdout.split("\n")
    assert [line.partition(" ")[2] for line in stamped] == ["first", "second bar", "third"]
    first, second, third = (datetime.fromisoformat(line.partition(" ")[0]).timestamp() for line in stamped)
    assert begun - 5 < first < second - 1.3 < third - 1.7 < begun + PATIENCE
    assert [line.partition(" ")[2] for line in live] == ["first", "second bar", "third"]
    at = datetime.fromtimestamp(second - 0.7).isoformat()
    assert host.laptop("logs", "--since", at, identity).stdout == "second bar\nthird"
    assert host.laptop("logs", "--since", "1h", "-n", "1", identity).stdout == "third"
    assert host.laptop("logs", "--since", "0s", identity).stdout == ""


def test_a_host_that_is_forgotten_meanwhile_is_contact_lost(host: Host) -> None:
    with host.laptop.started("run", "--name", "left", "--", "echo begun; sleep 300") as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        assert host.laptop("disconnect", "colab").returncode == 0
        errors = running.communicate(timeout=PATIENCE)[1]
    assert running.returncode == 255
    assert "error: `colab` is not known here any more; `left` may still be running there\n" in errors
    assert host.laptop("connect", host.runtime.ticket, "--open", "none").returncode == 0
    assert host.laptop("stop", "left", "--grace", "0").returncode == 0


def test_stop_ends_the_whole_process_group(host: Host) -> None:
    identity = job_id(host, "--name", "stubborn", "--", "trap '' TERM; sleep 300 & echo $!; wait; sleep 300")
    deadline = time.monotonic() + PATIENCE
    while not (child := host.laptop("logs", identity).stdout.strip()):
        assert time.monotonic() < deadline
    done = host.laptop("stop", "stubborn", "--grace", "0.2")
    assert (done.returncode, done.stdout) == (0, "stubborn   stopped\n")
    assert not Path(f"/proc/{child}").exists()


def test_jobs_lists_names_states_and_commands(host: Host) -> None:
    job_id(host, "--name", "good", "--", "true")
    job_id(host, "--name", "-bad '한글'", "--", "exit 4")
    for name in ("good", "-bad '한글'"):
        host.laptop("logs", "-f", "--", name)
    found = {job["name"]: job for job in known_jobs(host)}
    assert found["good"]["state"] == "done"
    assert (found["-bad '한글'"]["state"], found["-bad '한글'"]["code"]) == ("failed", 4)
    assert "good" in host.laptop("jobs").stdout


def test_a_job_takes_one_line_of_the_table_whatever_it_is_called(host: Host) -> None:
    identity = job_id(host, "--name", "two\nlines\t\x1b[2J", "--", "true\ntrue")
    (row,) = (line for line in host.laptop("jobs").stdout.splitlines() if line.startswith("two"))
    assert row.split()[:2] == ["two\\nlines\\t\\x1b[2J", "colab"]
    assert row.endswith("   true\\ntrue")
    assert host.laptop("stop", identity).stdout.startswith("two\\nlines\\t\\x1b[2J   ")


def test_jobs_of_a_host_that_is_forgotten_are_as_they_were_last_heard_of(host: Host) -> None:
    identity = job_id(host, "--name", "kept", "--", "true")
    assert host.laptop("logs", "-f", "kept").returncode == 0
    assert host.laptop("disconnect", "colab").returncode == 0
    assert [(job["id"], job["state"]) for job in known_jobs(host)] == [(identity, "done")]
    assert host.laptop("connect", host.runtime.ticket, "--name", "other", "--open", "none").returncode == 0
    there = known_jobs(host, "--host", "other")
    assert identity in {job["id"] for job in there}
    assert {job["host"] for job in there} == {"other"}
    # What one host says changes nothing of what is known from another.
    assert host.laptop("disconnect", "other").returncode == 0
    assert [(job["id"], job["host"]) for job in known_jobs(host)] == [(identity, "colab")]


def test_the_same_job_is_seen_after_its_record_at_home_is_lost(host: Host) -> None:
    identity = job_id(host, "--name", "again", "--", "echo kept")
    host.laptop("logs", "-f", identity)
    known = host.laptop.home / ".local"
    for path in sorted(known.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    done = host.laptop("logs", "again")
    assert (done.stdout, done.stderr) == ("kept\n", "")


def test_an_interrupt_leaves_the_job_running_and_says_how_to_come_back(host: Host) -> None:
    with host.laptop.started("run", "--name", "left", "--", "echo begun; sleep 300") as shown:
        assert shown.stdout is not None
        assert shown.stdout.readline() == "begun\n"
        shown.send_signal(signal.SIGINT)
        errors = shown.communicate(timeout=PATIENCE)[1]
    assert shown.returncode == 130
    assert "`left` goes on" in errors
    assert "colab-remote logs -f" in errors
    assert host.laptop("stop", "left", "--grace", "0").returncode == 0


def test_a_reader_that_has_enough_leaves_the_job_running_and_it_is_said(host: Host) -> None:
    with host.laptop.started("run", "--name", "read", "--", "while :; do echo on; sleep 0.1; done") as shown:
        assert shown.stdout is not None
        assert shown.stdout.readline() == "on\n"
        shown.stdout.close()
        assert shown.wait(PATIENCE) == 1
        assert shown.stderr is not None
        errors = shown.stderr.read()
    assert "`read` goes on" in errors
    assert "colab-remote logs -f" in errors
    assert host.laptop("stop", "read", "--grace", "0").stdout == "read   stopped\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_where_a_script_wants_it_an_interrupt_stops_the_job(host: Host, number: int) -> None:
    words = ("--stop-on-interrupt", "--name", f"ended-{number}", "--", "echo begun; sleep 300")
    with host.laptop.started("run", *words) as shown:
        assert shown.stdout is not None
        assert shown.stdout.readline() == "begun\n"
        shown.send_signal(number)
        errors = shown.communicate(timeout=PATIENCE)[1]
    assert shown.returncode == 130
    assert f"stopping `ended-{number}`\n`ended-{number}` was ended by signal 15\n" in errors


def test_variables_reach_the_job_and_nothing_else(host: Host) -> None:
    file, hush = host.laptop.home / "variables", make_id()
    file.write_text(f'# for docker as well\n\nLINE={hush} "as it is"\nGIVEN=other\nTAKEN\n')
    words = ("-e", "GIVEN", "-e", "EMPTY=", "-e", "PLAIN=seen", "--env-file", str(file), "--name", "quiet", "--detach")
    asked = "printenv LINE GIVEN TAKEN EMPTY PLAIN | wc; sleep 300"
    done = host.laptop("run", *words, "--", asked, TAKEN=hush, GIVEN=hush)
    assert done.returncode == 0, done.stderr
    assert until(lambda: host.laptop("logs", "quiet").stdout).split() == ["5", "7", str(3 * len(hush) + 20)]
    job = host.runtime.state / "jobs" / done.stdout.strip()
    assert set(json.loads((job / "job.json").read_text())) >= {"environment", "command"}
    found = {path for path in (*host.runtime.state.rglob("*"), *host.laptop.home.rglob("*")) if path.is_file()}
    assert not [path for path in found - {file} if hush.encode() in path.read_bytes()]
    pid = json.loads((job / "run.json").read_text())["pid"]
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            assert hush not in " ".join(process.cmdline())
            environment = process.environ()
            # The laptop's own processes may have what is the laptop's.
            ours = environment.get("HOME") == str(host.laptop.home) or pid in (os.getsid(process.pid), process.pid)
            assert ours or hush not in str(environment)
    host.laptop("stop", "quiet", "--grace", "0")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("run",), 2, "no command is given"),
        (("run", "--", " "), 2, "no command is given"),
        (("run", "--", "", "echo", "hi"), 2, "no command is given"),
        (("run", "--host", "nowhere", "--", "true"), 2, "nowhere"),
        (("run", "-e", "NOT_SET_HERE", "--", "true"), 2, "`NOT_SET_HERE` is not set here"),
        (("run", "-e", "=x", "--", "true"), 2, "no name"),
        (("run", "--env-file", "none", "--", "true"), 2, "`none` cannot be read"),
        (("logs", "--since", "yesterday"), 2, "write it as"),
        (("logs", "nothing-of-that-name"), 2, "nothing-of-that-name"),
        (("stop", "nothing-of-that-name"), 2, "nothing-of-that-name"),
        (("train",), 2, "lies in no project"),
        (("pull",), 2, "lies in no project"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(host: Host, words: tuple[str, ...], code: int, says: str) -> None:
    done = host.laptop(*words)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "\nhint: " in done.stderr


def test_more_jobs_than_a_frame_takes_are_listed(host: Host) -> None:
    long = f"true # {'x' * 110_000}"
    made = {job_id(host, "--name", f"long-{number}", "--", long) for number in range(LARGEST // len(long) + 1)}
    assert made <= {job["id"] for job in known_jobs(host)}
    done = host.laptop("status")
    assert done.returncode == 0, done.stderr
    for folder in (host.runtime.state / "jobs" / identity for identity in made):  # this runtime serves other tests
        until((folder / "exit.json").exists)
        shutil.rmtree(folder)


def test_variables_beyond_what_a_call_takes_are_refused_before_the_job_begins(host: Host) -> None:
    file = host.laptop.home / "large"
    file.write_text("".join(f"V{number}={'x' * 1000}\n" for number in range(1200)))
    before = known_jobs(host)
    done = host.laptop("run", "--env-file", str(file), "--", "true")
    assert done.returncode == 125
    assert "error: that is too much to ask of `colab` at once" in done.stderr
    assert known_jobs(host) == before


def test_a_host_that_nobody_listens_at_is_unreachable(host: Host) -> None:
    port = host.runtime.port
    settings = host.laptop.ours / "hosts"
    assert settings.is_dir()
    gone = host.runtime.ticket.replace(f":{port}", ":1")
    assert host.laptop("connect", gone, "--name", "gone").returncode == 4
    assert os.listdir(settings) == ["colab.json"]


def test_another_laptops_job_is_seen_and_not_stopped_by_accident(host: Host, tmp_path: Path) -> None:
    home = tmp_path / "other"
    home.mkdir()
    other = Laptop(home, {**host.laptop.env, "HOME": str(home), "COLAB_REMOTE_LINE": "0"})
    host.runtime.admit(other.public_line())
    assert other("connect", host.runtime.ticket, "--open", "none").returncode == 0
    identity = job_id(host, "--name", "not yours", "--", "sleep 300")
    assert "not yours" in other("jobs").stdout
    done = other("stop")
    assert done.returncode == 2, done.stdout
    assert "no job of this laptop is known" in done.stderr
    assert known_jobs(host)[-1]["state"] == "running"
    assert other("stop", identity, "--grace", "0").returncode == 0


@pytest.mark.parametrize("damage", ["", "{}", "[]", "\x00", '{"format": 1}', "null"])
def test_a_damaged_record_of_ours_is_no_defect(host: Host, damage: str) -> None:
    identity = job_id(host, "--", "true")
    assert host.laptop("logs", "-f", identity).returncode == 0
    records = [*host.laptop.ours.glob("hosts/*.json"), *host.laptop.home.glob(".local/state/colab-remote/**/*.json")]
    assert len(records) >= 3
    for record in records:
        whole = record.read_text()
        empty = {**dict.fromkeys(json.loads(whole)), "format": 1}
        record.write_text(json.dumps(empty) if damage == "null" else damage)
        done = host.laptop("jobs")
        record.write_text(whole)
        assert done.returncode in (0, 1), done.stderr
        assert "defect" not in done.stderr
        assert "Traceback" not in done.stderr
    assert identity in {job["id"] for job in known_jobs(host)}
