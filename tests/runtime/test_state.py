"""The state folder as an older version, a broken disk or a person may have left it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sides import until
from vm import Vm, listens, ours_left

from colab_remote.both.processes import boot_id, started
from colab_remote.errors import ColabRemoteError
from colab_remote.runtime import Runtime, shutdown
from colab_remote.runtime.sshd import host_key
from colab_remote.runtime.tunnels.ngrok_process import end_agent
from colab_remote.runtime.watch import status_line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(boot_id()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
# No process has such a start; one that a record names rightly is ended.
NAMES = ["pid", "start", "boot", "children", "address", "wanted", "name", "user", "workdir", "took", "sshd"]
RECORDS = st.dictionaries(st.sampled_from(NAMES), JSON).map(lambda record: json.dumps({"format": 1, **record}))
CONTENTS = st.binary() | JSON.map(json.dumps).map(str.encode) | RECORDS.map(str.encode)
SEALED = [
    "-----BEGIN OPENSSH PRIVATE KEY-----\n",
    "\n-----END OPENSSH PRIVATE KEY-----\n",
    "b3BlbnNzaC1rZXktdjE",
    "AAAA",
]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("state")
    (made / "launch.lock").touch()
    return made


@given(CONTENTS)
def test_whatever_runtime_json_holds_nothing_runs(state: Path, contents: bytes) -> None:
    (state / "runtime.json").write_bytes(contents)
    with contextlib.suppress(ColabRemoteError):
        assert Runtime(state, {}).now() is None
        assert not shutdown(state)


RUNS = st.fixed_dictionaries(
    {
        "format": st.just(1),
        "pid": st.just(os.getpid()),
        "start": st.just(started(os.getpid())),
        "boot": st.just(boot_id()),
        "started": JSON | st.integers(10**308),
    }
).map(json.dumps)
NAMED = JSON.map(lambda name: json.dumps({"format": 1, "name": name}))


@given(CONTENTS | RUNS.map(str.encode), CONTENTS | NAMED.map(str.encode))
def test_whatever_a_jobs_files_hold_the_waiting_cell_goes_on(state: Path, ran: bytes, named: bytes) -> None:
    folder = state / "jobs" / "20261123-000000-abcd"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_bytes(ran)
    (folder / "job.json").write_bytes(named)
    line = status_line({"address": {"tunnel": "direct"}, "sshd": 0}, state)
    assert line.isprintable()
    assert " · RAM " in line


@given(CONTENTS)
def test_whatever_ngrok_json_holds_no_agent_is_left(state: Path, contents: bytes) -> None:
    (state / "ngrok.json").write_bytes(contents)
    end_agent(state)
    assert not (state / "ngrok.json").exists()


@given(st.text() | st.lists(st.sampled_from([*SEALED, *"\n\0\udc80=A"])).map("".join), st.booleans())
def test_whatever_the_host_key_holds_is_a_key_or_refused(state: Path, text: str, as_secret: bool) -> None:
    file = state / "ssh_host_ed25519_key"
    file.write_bytes(b"" if as_secret else text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(ColabRemoteError):
        assert host_key(state, text if as_secret else None).startswith("SHA256:")


OLDER = {"scheme": "ssh", "host": "127.0.0.1", "port": 1, "note": ""}  # before an address named its tunnel


@pytest.mark.parametrize("changed", [{"address": None}, {"address": OLDER}, {"took": {}}, {"wanted": 1}])
def test_another_versions_runtime_is_replaced_and_nothing_is_doubled(vm: Vm, changed: dict[str, Any]) -> None:
    first = vm.up()
    (vm.state / "runtime.json").write_text(json.dumps({**vm.record(), **changed}))
    second = vm.up()
    assert second["pid"] != first["pid"]
    assert len(ours_left(vm)) == 2
    vm.connect(second["ticket"])


@pytest.mark.parametrize("damaged", [b"", b'{"format": 1, "pid"', b'{"format": 1, "pid": 1}'])
def test_a_damaged_record_comes_back_and_nothing_is_doubled(vm: Vm, damaged: bytes) -> None:
    first = vm.up()
    whole = (vm.state / "runtime.json").read_bytes()
    (vm.state / "runtime.json").write_bytes(damaged)
    until(lambda: (vm.state / "runtime.json").read_bytes() == whole)
    assert vm.up() == first
    assert len(ours_left(vm)) == 2


@pytest.mark.parametrize("lost", [lambda state: (state / "runtime.json").write_bytes(b""), shutil.rmtree])
def test_a_supervisor_that_a_launch_did_not_find_ends_for_the_new_one(vm: Vm, lost: Callable[[Path], None]) -> None:
    supervisor = psutil.Process(vm.up()["pid"])
    supervisor.suspend()
    lost(vm.state)
    second = vm.up()
    supervisor.resume()
    until(lambda: not supervisor.is_running())
    assert len(ours_left(vm)) == 2
    vm.connect(second["ticket"])
    assert vm.up() == second


def test_a_newer_versions_record_is_left_alone(vm: Vm) -> None:
    vm.up()
    record = vm.record()
    assert vm.shutdown().returncode == 0
    (vm.state / "runtime.json").write_text(json.dumps({**record, "format": 99}))
    for done in (vm.launch(), vm.shutdown()):
        assert done.returncode == 2
        assert "was written by a newer colab-remote" in done.stderr
        assert "hint: update colab-remote on this machine" in done.stderr
    (vm.state / "runtime.json").unlink()


@pytest.mark.parametrize(
    "name", ["launch.lock", "authorized_keys", "supervisor.log", "runtime.json", "environment.json"]
)
def test_a_folder_in_a_files_place_is_named(vm: Vm, name: str) -> None:
    vm.state.mkdir()
    (vm.state / "launch.lock").touch()
    (vm.state / name).unlink(missing_ok=True)
    (vm.state / name).mkdir()
    done = vm.launch()
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(vm.state) in done.stderr
    (vm.state / name).rmdir()


@pytest.mark.parametrize("number", [str, float])
def test_a_process_whose_number_is_no_number_is_left_alone(state: Path, number: Any) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        record = {"format": 1, "pid": number(bystander.pid), "start": started(bystander.pid), "boot": boot_id()}
        for name in ("runtime.json", "ngrok.json"):
            (state / name).write_text(json.dumps(record))
        assert not shutdown(state)
        end_agent(state)
        assert bystander.poll() is None
        bystander.kill()


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_folder_that_others_use_too_stays_as_it_is(vm: Vm, mode: int) -> None:
    vm.state.mkdir()
    vm.state.chmod(mode)
    done = vm.launch()
    assert done.returncode == 2
    assert "is not for this alone" in done.stderr
    assert vm.state.stat().st_mode & 0o7777 == mode
    assert not list(vm.state.iterdir())


def test_a_folder_that_is_used_for_something_else_stays_as_it_is(vm: Vm) -> None:
    vm.state.mkdir(mode=0o755)
    (vm.state / "authorized_keys").write_text("somebody's key")
    assert vm.shutdown().stdout == "nothing was running\n"
    done = vm.launch()
    assert done.returncode == 2
    assert "is not for this alone" in done.stderr
    assert [path.read_text() for path in vm.state.iterdir()] == ["somebody's key"]
    assert vm.state.stat().st_mode & 0o777 == 0o755


def test_a_home_by_a_link_is_no_state_folder(vm: Vm) -> None:
    vm.state.symlink_to(vm.user.home)
    assert "is not for this alone" in vm.launch().stderr
    vm.state.unlink()


def test_a_link_to_a_folder_of_its_own_is_one(vm: Vm) -> None:
    real = vm.user.home / "real"
    real.mkdir()
    vm.state.symlink_to(real)
    vm.connect(vm.up()["ticket"])
    assert real.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def small(vm: Vm) -> Iterator[Path]:
    """The state folder on a file system of 1 MB."""
    vm.state.mkdir(mode=0o700)
    words = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", str(vm.state)]
    if subprocess.run(words, capture_output=True).returncode:
        pytest.skip("a full disk needs root and `mount -t tmpfs`")
    yield vm.state
    assert vm.shutdown().returncode == 0
    subprocess.run(["umount", "-l", str(vm.state)], check=True)


def test_on_a_full_disk_sshd_comes_back_all_the_same(vm: Vm, small: Path) -> None:
    document = vm.up()
    sshd = vm.record()["sshd"]
    rest = small / "rest"
    with contextlib.suppress(OSError), rest.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    os.kill(sshd, signal.SIGKILL)
    until(lambda: listens(document["port"]))
    rest.unlink()
    until(lambda: vm.record()["sshd"] != sshd)
    assert vm.record()["pid"] == document["pid"]


def test_nobodys_folder_is_refused(vm: Vm) -> None:
    done = vm.launch("--workdir", "~nobody-of-this-name/content")
    assert done.returncode == 2
    assert "is nobody's folder" in done.stderr
    assert os.listdir(vm.user.home) == []
