"""Through a machine of one's own: a second real sshd, which the runtime reaches out to and the laptop jumps through."""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sides import PATIENCE, Runtime, free_port, started_sshd, until
from vm import Vm

from colab_remote.errors import Refused
from colab_remote.laptop.client import ssh_argv
from colab_remote.runtime.tunnels.relay import parse_relay


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Runtime]:
    with started_sshd(tmp_path / "relay") as relay:
        yield relay


def address(relay: Runtime) -> str:
    """What `--relay` takes."""
    return f"{getpass.getuser()}@127.0.0.1:{relay.port}#{relay.ticket.rpartition('#')[2]}"


def through(vm: Vm, relay: Runtime, *words: str) -> subprocess.CompletedProcess[str]:
    return vm.launch("--tunnel", "relay", "--relay", address(relay), *words)


def admitted(vm: Vm, relay: Runtime) -> str:
    """The ticket of a runtime whose key the relay's owner has let in, as the refusal said, and the laptop's too."""
    refused = through(vm, relay)
    assert refused.returncode == 6, refused.stderr
    relay.admit(next(line for line in refused.stderr.splitlines() if line.startswith("restrict,")))
    document = vm.up("--tunnel", "relay", "--relay", address(relay))
    own = vm.laptop.home / ".ssh"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(own / "id_own")], check=True)
    relay.admit((own / "id_own.pub").read_text())
    host_key = (relay.state.parent / "host_key.pub").read_text()
    (own / "known").write_text(f"[127.0.0.1]:{relay.port} {host_key}")
    (own / "config").write_text(f"IdentityFile {own / 'id_own'}\nUserKnownHostsFile {own / 'known'}\n")
    return str(document["ticket"])


def ssh(vm: Vm, *words: str) -> subprocess.CompletedProcess[str]:
    config = ["-F", str(vm.laptop.home / ".ssh" / "config")]
    argv = ["ssh", *config, *ssh_argv("colab", words)[-len(words) - 2 :]]
    return subprocess.run(argv, capture_output=True, text=True, env=vm.laptop.env, timeout=PATIENCE)


def test_a_laptop_reaches_the_runtime_through_it_and_again_after_each_end_was_killed(vm: Vm, relay: Runtime) -> None:
    ticket = admitted(vm, relay)
    assert f"via={getpass.getuser()}@127.0.0.1:{relay.port}#" in ticket
    vm.connect(ticket)
    assert vm.laptop("run", "--", "echo", "hello").stdout.endswith("hello\n")
    assert ssh(vm, "echo", "hello").stdout == "hello\n"

    supervisor = psutil.Process(vm.record()["pid"])
    ours = next(child for child in supervisor.children() if child.name() == "ssh")
    ours.kill()
    until(lambda: ssh(vm, "true").returncode == 0, "ssh -R is not started again")
    for session in psutil.process_iter(["ppid", "cmdline"]):
        if session.info["cmdline"] and "[priv]" in " ".join(session.info["cmdline"]) and _serves(session, relay):
            os.kill(session.pid, signal.SIGKILL)
    until(lambda: ssh(vm, "true").returncode == 0, "the way is not opened again")
    assert vm.up("--tunnel", "relay", "--relay", address(relay))["ticket"] == ticket


def _serves(process: psutil.Process, relay: Runtime) -> bool:
    return any(f"{relay.port}" in " ".join(parent.cmdline()) for parent in process.parents())


def test_a_new_vm_with_the_kept_keys_needs_no_new_connect(vm: Vm, relay: Runtime) -> None:
    vm.connect(admitted(vm, relay))
    kept = {"RELAY_KEY": "relay_key", "SSH_HOST_KEY": "ssh_host_ed25519_key"}
    secrets = {name: (vm.state / file).read_text() for name, file in kept.items()}
    assert vm.shutdown().returncode == 0
    assert ssh(vm, "true").returncode == 255

    new = Vm(vm.user, vm.laptop, vm.user.home / "new disk", vm.workdir)
    new.up("--tunnel", "relay", "--relay", address(relay), **secrets)
    try:
        assert ssh(vm, "echo", "hello").stdout == "hello\n"
        assert vm.laptop("run", "--", "echo", "hello").stdout.endswith("hello\n")
    finally:
        assert new.shutdown().returncode == 0


def test_its_key_opens_nothing_but_that_port(vm: Vm, relay: Runtime) -> None:
    admitted(vm, relay)
    key = ["-i", str(vm.state / "relay_key"), "-p", str(relay.port), "-oStrictHostKeyChecking=no"]
    base = ["ssh", "-F", "none", "-oUserKnownHostsFile=/dev/null", "-oExitOnForwardFailure=yes", *key]

    def run(*words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*base, *words, "127.0.0.1"], capture_output=True, timeout=PATIENCE)

    assert run("-N", "-R", f"localhost:{free_port()}:localhost:22").returncode == 255
    assert b"prohibited" in run("-W", f"127.0.0.1:{relay.port}").stderr
    assert subprocess.run([*base, "127.0.0.1", "echo", "in"], capture_output=True).stdout == b""


@pytest.mark.parametrize(
    ("pinned", "said"),
    [("", "is not pinned; `127.0.0.1` shows SHA256:"), (f"#SHA256:{43 * 'A'}", "another host key than the one given")],
)
def test_only_a_relay_whose_host_key_is_known_is_gone_through(vm: Vm, relay: Runtime, pinned: str, said: str) -> None:
    done = vm.launch("--tunnel", "relay", "--relay", address(relay).partition("#")[0] + pinned)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "hint:" in done.stderr


def test_a_port_that_somebody_holds_and_a_relay_that_is_not_there_are_named(vm: Vm, relay: Runtime) -> None:
    admitted(vm, relay)
    again = Vm(vm.user, vm.laptop, vm.user.home / "other", vm.workdir)
    again.state.mkdir(mode=0o700)
    for name in ("launch.lock", "relay_key", "relay_key.pub"):
        (again.state / name).write_bytes((vm.state / name).read_bytes())
    taken = through(again, relay)
    assert taken.returncode == 6
    assert "does not give us its port" in taken.stderr
    port = free_port()
    gone = vm.launch("--tunnel", "relay", "--relay", f"me@127.0.0.1:{port}#SHA256:{43 * 'A'}")
    assert gone.returncode == 1
    assert "does not answer" in gone.stderr
    assert f"`ssh-keyscan -t ed25519 -p {port} 127.0.0.1` must answer" in gone.stderr


@given(st.text(max_size=60))
def test_whatever_is_given_for_a_relay_is_one_or_refused(text: str) -> None:
    try:
        relay = parse_relay(text)
    except Refused:
        return
    assert relay.port
    assert not relay.host.startswith("-")
