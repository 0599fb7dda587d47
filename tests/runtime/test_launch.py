"""A runtime from a shell: launched, known, restarted, shut down. The VM is a HOME of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from sides import PATIENCE, SSHD, Runtime, until
from vm import Vm, listens, ours_left

from colab_remote.both.jobrecord import make_id


def test_launch_prints_what_connect_takes_and_is_there_after_it_has_ended(vm: Vm) -> None:
    document = vm.up()
    assert set(document) == {
        "schema", "ticket", "host", "port", "user", "fingerprint", "workdir", "tunnel", "pid", "ssh_config",
    }  # fmt: skip
    vm.connect(document["ticket"])
    done = vm.laptop("ssh", "--", "pwd; echo $COLAB_REMOTE_STATE")
    assert done.stdout.splitlines()[1] == str(vm.state)


def test_launch_without_json_shows_the_line_to_type(vm: Vm) -> None:
    done = vm.launch()
    assert done.returncode == 0, done.stderr
    ticket = vm.up()["ticket"]
    assert f'  colab-remote connect "{ticket}"' in done.stdout.splitlines()
    assert "sshd     ready" in done.stdout


def test_the_same_launch_restarts_nothing_and_another_one_replaces_it_with_the_same_host_key(vm: Vm) -> None:
    first = vm.up()
    before = vm.record()
    assert vm.up() == first
    assert vm.record() == before
    done = vm.launch("--name", "lab", "--json")
    second = json.loads(done.stdout)
    assert "replacing what an earlier launch started" in done.stderr
    assert second["pid"] != first["pid"]
    assert second["fingerprint"] == first["fingerprint"]
    assert not psutil.pid_exists(first["pid"])
    assert len(ours_left(vm)) == 2  # a supervisor and its sshd


def test_restart_replaces_even_the_same(vm: Vm) -> None:
    first = vm.up()
    assert vm.up("--restart")["pid"] != first["pid"]


def test_variables_that_have_changed_meanwhile_restart_nothing(vm: Vm) -> None:
    assert vm.up() == vm.up(CUDA_MODULE_LOADING="LAZY", TF_CPP_MIN_LOG_LEVEL="2")


def test_the_one_who_logs_in_is_the_user_that_launched_whatever_the_variables_say(vm: Vm) -> None:
    vm.connect(vm.up(USER="20231234", LOGNAME="20231234")["ticket"])
    assert vm.laptop("ssh", "--", "id -u").stdout.strip() == str(os.geteuid())


def test_a_user_whose_name_no_ticket_holds_is_refused_before_anything_is_started(vm: Vm) -> None:
    users = vm.user.home / "passwd"
    users.write_text("20231234:x:0:0::/root:/bin/sh\n")
    hidden = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        f'mount --bind {shlex.quote(str(users))} /etc/passwd && exec "$@"',
        "sh",
    ]
    if subprocess.run([*hidden, "true"], capture_output=True).returncode:
        pytest.skip("needs to hide a file from a process: run it as root")
    words = ["launch", "--tunnel", "direct", "--state-dir", str(vm.state), "--workdir", str(vm.workdir)]
    words += ["--authorized-key", str(vm.laptop.ours / "id_ed25519.pub")]
    launch = [*hidden, sys.executable, "-m", "colab_remote", *words]
    done = subprocess.run(launch, env=vm.user.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "the user `20231234` has a name that no ticket can hold" in done.stderr
    assert not (vm.state / "sshd_config").exists()


def test_a_session_of_the_runtime_does_not_end_it(vm: Vm) -> None:
    first = vm.up()
    vm.connect(first["ticket"])
    again = [sys.executable, "-m", "colab_remote", "launch", "--tunnel", "direct", "--state-dir", str(vm.state)]
    again += ["--workdir", str(vm.workdir), "--authorized-key", str(vm.laptop.ours / "id_ed25519.pub"), "--json"]
    typed = f"HOME={shlex.quote(str(vm.user.home))} {shlex.join(again)}"
    same = vm.laptop("ssh", "--", typed)
    assert json.loads(same.stdout) == first, same.stderr
    for more in ("--restart", "--name lab"):
        other = vm.laptop("ssh", "--", f"{typed} {more}")
        assert other.returncode == 2
        assert "would end with it" in other.stderr
        assert "hint: launch in a cell" in other.stderr
    assert vm.up() == first


def test_a_record_that_somebody_removed_comes_back_and_nothing_is_doubled(vm: Vm) -> None:
    first = vm.up()
    (vm.state / "runtime.json").unlink()
    until(lambda: (vm.state / "runtime.json").exists())
    assert vm.up() == first
    assert len(ours_left(vm)) == 2


def test_two_launches_at_once_start_one_runtime(vm: Vm) -> None:
    key = vm.laptop.ours / "id_ed25519.pub"
    words = ["launch", "--tunnel", "direct", "--state-dir", str(vm.state), "--workdir", str(vm.workdir)]
    with vm.user.started(*words, "--authorized-key", str(key), "--json") as other:
        mine = vm.up()
        theirs = json.loads(other.communicate(timeout=PATIENCE)[0])
    assert mine == theirs
    assert len(ours_left(vm)) == 2  # a supervisor and its sshd


def test_a_launch_that_was_killed_is_not_doubled_by_the_next(vm: Vm) -> None:
    key = vm.laptop.ours / "id_ed25519.pub"
    words = ["launch", "--tunnel", "direct", "--state-dir", str(vm.state), "--workdir", str(vm.workdir)]
    with vm.user.started(*words, "--authorized-key", str(key)) as launching:
        until(lambda: ours_left(vm))
        launching.kill()
    document = vm.up()
    assert len(ours_left(vm)) == 2  # a supervisor and its sshd
    vm.connect(document["ticket"])


def test_a_killed_sshd_comes_back_at_the_same_port_and_a_job_goes_on(vm: Vm) -> None:
    document = vm.up()
    vm.connect(document["ticket"])
    job = vm.laptop("run", "--detach", "--", "sleep 2; echo survived")
    assert job.returncode == 0, job.stderr
    sshd = vm.record()["sshd"]
    os.kill(sshd, signal.SIGKILL)
    until(lambda: vm.record()["sshd"] != sshd and listens(document["port"]))
    done = vm.laptop("logs", "-f", job.stdout.strip())
    assert (done.returncode, done.stdout) == (0, "survived\n"), done.stderr


def test_the_log_has_times_and_an_end(vm: Vm) -> None:
    document = vm.up()
    log = vm.state / "supervisor.log"
    assert listens(document["port"])
    until(lambda: "sshd: " in log.read_text())
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in log.read_text().splitlines())
    with log.open("ab") as file:
        file.write(b"x" * 3_000_000)
    until(lambda: log.stat().st_size < 1_000_000)
    assert (vm.state / "supervisor.log.1").stat().st_size <= 1 << 20


def test_a_job_outlives_supervisor_sshd_agents_and_a_second_launch(vm: Vm) -> None:
    vm.connect(vm.up()["ticket"])
    job = vm.laptop("run", "--detach", "--", "echo begun; until test -e go; do sleep 0.02; done; echo went; exit 7")
    assert job.returncode == 0, job.stderr
    with vm.laptop.started("logs", "-f", job.stdout.strip()) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "begun\n"
        runner = json.loads((vm.state / "jobs" / job.stdout.strip() / "run.json").read_text())["runner"]
        # Between two conversations of the follower there may be none. The runner is a fork of the one that started it.
        agents = until(lambda: _agents(vm) - {runner})
        for pid in (vm.record()["pid"], vm.record()["sshd"], *agents):
            with suppress(ProcessLookupError):  # one may end with another
                os.kill(pid, signal.SIGKILL)
        vm.connect(vm.up("--restart")["ticket"])
        (vm.workdir / "go").touch()
        said = follower.communicate(timeout=2 * PATIENCE)
        assert said[0] == "went\n", said
    assert follower.returncode == 7


def _agents(vm: Vm) -> set[int]:
    return {process.pid for process in psutil.process_iter() if _is_agent(process, vm)}


def _is_agent(process: psutil.Process, vm: Vm) -> bool:
    try:
        mine = process.environ().get("COLAB_REMOTE_STATE") == str(vm.state)
        return mine and any(word.startswith("import base64") for word in process.cmdline())
    except psutil.Error:
        return False


def test_shutdown_ends_sessions_and_leaves_jobs(vm: Vm) -> None:
    vm.connect(vm.up()["ticket"])
    job = vm.laptop("run", "--detach", "--", "sleep 60")
    assert job.returncode == 0, job.stderr
    assert vm.shutdown().stdout == "stopped\n"
    ran = json.loads((vm.state / "jobs" / job.stdout.strip() / "run.json").read_text())
    assert psutil.pid_exists(ran["pid"])
    os.killpg(ran["pid"], signal.SIGKILL)
    assert vm.shutdown().stdout == "nothing was running\n"


def test_a_pid_that_is_anothers_by_now_is_left_alone(vm: Vm) -> None:
    vm.up()
    record = vm.record()
    with subprocess.Popen(["sleep", "60"]) as bystander:
        assert vm.shutdown().returncode == 0
        (vm.state / "runtime.json").write_text(json.dumps({**record, "pid": bystander.pid}))
        assert vm.shutdown().stdout == "nothing was running\n"
        assert bystander.poll() is None
        bystander.kill()


def test_only_the_key_that_was_named_gets_in_and_no_password(vm: Vm) -> None:
    document = vm.up()
    stranger = vm.user.home / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True)
    known = vm.user.home / "known_hosts"
    known.write_text(f"[127.0.0.1]:{document['port']} {(vm.state / 'ssh_host_ed25519_key.pub').read_text()}")
    options = ["-F", "none", "-o", f'UserKnownHostsFile="{known}"', "-o", "BatchMode=yes", "-i", str(stranger)]
    to = ["-p", str(document["port"]), f"{document['user']}@127.0.0.1", "true"]
    done = subprocess.run(["ssh", *options, *to], capture_output=True, text=True)
    assert "Permission denied (publickey)" in done.stderr


def test_sessions_and_jobs_see_the_environment_and_no_secret(vm: Vm) -> None:
    odd = "a 'quoted' \"value\" with 100 % and \\ in it"
    document = vm.up(
        "--env", "HF_TOKEN", CUDA_ODD=odd, COLAB_GPU="T4", NVIDIA_API_KEY="hidden", HF_TOKEN="for jobs", OTHER="no"
    )  # fmt: skip
    vm.connect(document["ticket"])
    by_ssh = vm.laptop("ssh", "--", "env").stdout.splitlines()
    by_job = vm.laptop("run", "--", "env").stdout.splitlines()
    assert f"CUDA_ODD={odd}" in by_job
    assert f"CUDA_ODD={odd}" in by_ssh or not escapes()
    for seen in (by_ssh, by_job):
        assert "COLAB_GPU=T4" in seen
        assert not [line for line in seen if line.startswith(("NVIDIA_API_KEY", "OTHER"))]
    assert not [line for line in by_ssh if line.startswith("HF_TOKEN")]
    assert "HF_TOKEN=for jobs" in by_job
    written = b"".join(path.read_bytes() for path in vm.state.glob("*.log"))
    assert b"for jobs" not in written


def test_what_jobs_may_see_reaches_jobs_and_nothing_else(vm: Vm) -> None:
    hush = make_id()
    vm.connect(vm.up("--env", "HF_TOKEN", HF_TOKEN=hush)["ticket"])
    assert vm.laptop("run", "--detach", "--name", "quiet", "--", "printenv HF_TOKEN; sleep 300").returncode == 0
    job = vm.state / "jobs" / json.loads(vm.laptop("jobs", "--json").stdout)["jobs"][0]["id"]
    until(lambda: (job / "log").read_text() == f"{hush}\n")
    found = [path for home in (vm.user.home, vm.laptop.home) for path in home.rglob("*") if path.is_file()]
    kept = [path for path in found if hush.encode() in path.read_bytes()]
    assert set(kept) == {job / "log", vm.state / "environment.json"}  # the job printed it itself
    assert (vm.state / "environment.json").stat().st_mode & 0o077 == 0
    pid = json.loads((job / "run.json").read_text())["pid"]
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            assert hush not in " ".join(process.cmdline())
            assert pid == os.getsid(process.pid) or hush not in str(process.environ()), process.cmdline()
    assert vm.laptop("stop", "quiet", "--grace", "0").returncode == 0


def escapes() -> bool:
    """Whether this sshd's SetEnv can hold a quotation mark: since OpenSSH 8.7."""
    assert SSHD
    said = subprocess.run([SSHD, "-V"], capture_output=True, text=True).stderr
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", said)
    assert found, said
    return (int(found[1]), int(found[2])) >= (8, 7)


LOGINS = {
    "a command": ["-T", "colab", "env"],
    "a login shell": ["-T", "colab", "bash -lc env"],
    "a terminal": ["-tt", "colab"],
    "the editor's script, and a terminal in the editor": ["-T", "colab", "bash -s"],
    "a terminal in an editor that asked a login shell": ["-T", "colab", "bash -s"],
}
TYPED = {  # `env` otherwise
    "the editor's script, and a terminal in the editor": "bash -ic env",
    "a terminal in an editor that asked a login shell": "export PATH=$(bash -ilc 'echo $PATH'); echo env | bash -i",
}


@pytest.mark.parametrize("way", LOGINS)
def test_every_way_in_sees_the_notebooks_python_first(vm: Vm, way: str) -> None:
    first = vm.user.home / "it's the \"notebook's\" bin"
    first.mkdir()
    (first / "python3").symlink_to(sys.executable)
    (vm.user.home / ".bashrc").write_text("")
    path = f"{first}:/usr/bin:/bin:/odd 100%"
    vm.connect(vm.up(PATH=path, LD_LIBRARY_PATH="/usr/lib64-nvidia")["ticket"])
    typed = f"{TYPED.get(way, 'env')}\nexit\n"
    config = str(vm.laptop.ours / "config")
    done = subprocess.run(
        ["ssh", "-F", config, *LOGINS[way]], env=vm.laptop.env, input=typed, capture_output=True, text=True, timeout=30
    )
    seen = done.stdout.replace("\r", "").splitlines()
    found = [line.removeprefix("PATH=") for line in seen if line.startswith("PATH=")]
    assert found
    assert path in found[0], done.stdout
    assert found[0].split(":").index(str(first)) < found[0].split(":").index("/bin")
    assert "LD_LIBRARY_PATH=/usr/lib64-nvidia" in seen


def test_a_folder_that_a_terminal_puts_in_front_stays_in_front(vm: Vm) -> None:
    vm.connect(vm.up()["ticket"])
    typed = "PATH=/venv/bin:$(bash -ilc 'echo $PATH') bash -i <<< 'echo $PATH'"
    places = vm.laptop("ssh", "--", f"bash -c {shlex.quote(typed)}").stdout.strip().split(":")
    notebooks = str(Path(sys.executable).parent)
    assert places.index("/venv/bin") < places.index(notebooks) < places.index("/usr/local/bin")


def test_the_path_of_login_shells_is_put_back_once(vm: Vm) -> None:
    vm.connect(vm.up()["ticket"])
    script = vm.workdir / "script"
    script.write_text('#!/bin/bash\necho "$PATH"\n')
    script.chmod(0o755)
    typed = f"bash -lc 'PATH=/mine:/bin \"$0\"' {shlex.quote(str(script))}"
    done = vm.laptop("ssh", "--", typed)
    assert done.stdout.strip() == "/mine:/bin", done.stderr


def test_a_value_that_sshd_cannot_carry_is_named(vm: Vm) -> None:
    done = vm.launch(CUDA_TWO="one\ntwo")
    assert done.returncode == 0, done.stderr
    assert "CUDA_TWO" in done.stderr
    assert "two\n" not in done.stderr


def test_everything_kept_is_for_this_user_alone(vm: Vm) -> None:
    vm.up()
    assert vm.state.stat().st_mode & 0o777 == 0o700
    for path in vm.state.iterdir():
        if path.suffix != ".pub":
            assert path.stat().st_mode & 0o077 == 0, path


def test_a_host_key_from_a_secret_keeps_the_fingerprint_on_another_vm(vm: Vm) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(vm.user.home / "kept")], check=True)
    shown = subprocess.run(["ssh-keygen", "-lf", str(vm.user.home / "kept")], capture_output=True, text=True)
    document = vm.up(SSH_HOST_KEY=(vm.user.home / "kept").read_text())
    assert document["fingerprint"] == shown.stdout.split()[1]


@pytest.mark.parametrize("newline", [" ", "\r\n"])
def test_a_host_key_made_on_the_laptop_arrives_though_a_text_field_took_its_line_ends(vm: Vm, newline: str) -> None:
    made = json.loads(vm.laptop("hostkey", "--json").stdout)
    document = vm.up(SSH_HOST_KEY=made["host_key"].replace("\n", newline))
    assert document["fingerprint"] == made["fingerprint"]
    vm.connect(document["ticket"])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--tunnel", "carrier-pigeon"), 2, "there is no tunnel called `carrier-pigeon`"),
        (("--name", "my colab"), 2, "`my colab` cannot be a host's name"),
        (("--bind", "127.0.0.1:99999"), 2, "is no ADDRESS[:PORT]"),
        (("--bind", "192.0.2.1"), 2, "is no address of this machine"),
        (("--bind", "0.0.0.0:2222"), 2, "`0.0.0.0` is every address of this machine"),
        (("--bind", "::"), 2, "`::` is every address of this machine"),
        (("--workdir", "/proc/none"), 2, "cannot be made"),
        (("--workdir", "/tmp/a\nPort 1"), 2, "control character"),
        (("--env", "NOWHERE_TO_BE_FOUND"), 2, "neither a Colab secret nor a variable"),
        (("--authorized-key", "no key at all"), 2, "is no public key"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_left(vm: Vm, words: tuple[str, ...], code: int, says: str) -> None:
    done = vm.launch(*words)
    assert done.returncode == code
    assert says in done.stderr
    assert "hint:" in done.stderr
    assert not ours_left(vm)


@pytest.mark.parametrize("refused", ["the secret", "the file", "the configuration"])
def test_a_launch_that_is_refused_leaves_what_runs(vm: Vm, refused: str) -> None:
    first = vm.up()
    key, sshd = vm.state / "ssh_host_ed25519_key", vm.user.home / "sshd"
    kept = {path: path.read_bytes() for path in (key, vm.state / "sshd_config", vm.state / "authorized_keys")}
    sshd.write_text(f'#!/bin/sh\n[ "$1" = -t ] && exit 1\nexec {SSHD} "$@"\n')
    sshd.chmod(0o700)
    if refused == "the file":
        key.write_text("damaged")
    environment = {
        "the secret": {"SSH_HOST_KEY": "no key"},
        "the configuration": {"PATH": f"{sshd.parent}:{os.environ['PATH']}"},
    }
    done = vm.launch("--name", "lab", "--bind", "127.0.0.2", **environment.get(refused, {}))
    assert done.returncode, done.stdout
    key.write_bytes(kept[key])
    assert {path: path.read_bytes() for path in kept} == kept
    assert vm.up() == first
    vm.connect(first["ticket"])


def test_no_key_is_refused_and_the_way_to_one_is_told(vm: Vm) -> None:
    done = vm.user("launch", "--tunnel", "direct", "--state-dir", str(vm.state), "--workdir", str(vm.workdir))
    assert done.returncode == 2
    assert "no public key says who may log in" in done.stderr
    assert "`colab-remote cell`" in done.stderr


def test_a_port_that_another_sshd_has_is_named_and_that_one_stays(vm: Vm, runtime: Runtime) -> None:
    done = vm.launch("--bind", f"127.0.0.1:{runtime.port}")
    assert done.returncode == 1
    assert f"sshd does not start on port {runtime.port}: Address already in use" in done.stderr
    assert "hint: choose another one" in done.stderr
    assert listens(runtime.port)
    assert not (vm.state / "runtime.json").exists()
