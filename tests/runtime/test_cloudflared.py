"""Cloudflare's quick tunnel, through a stand-in that speaks as `cloudflared` does and carries real TLS."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import cloudflared_program
import psutil
import pytest
from sides import until
from trusted import trusted
from vm import Vm


@dataclass(frozen=True)
class Cloudflare:
    """The stand-in's folder, and what leads processes to it and makes them trust its name."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"CLOUDFLARED_PATH": str(self.folder / "cloudflared"), "SSL_CERT_FILE": str(self.folder / "server.pem")}

    def mood(self, **mood: object) -> None:
        whole = self.folder / "mood.new"
        whole.write_text(json.dumps(mood))
        whole.replace(self.folder / "mood.json")

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())


@pytest.fixture
def cloudflare(tmp_path: Path) -> Cloudflare:
    folder = tmp_path / "cloudflare"
    folder.mkdir()
    trusted(folder, "localhost")
    program = folder / "cloudflared"
    program.write_text(f"#!{sys.executable}\n{Path(cloudflared_program.__file__).read_text()}")
    program.chmod(0o700)
    return Cloudflare(folder)


def test_a_laptop_gets_through_and_again_after_a_kill(vm: Vm, cloudflare: Cloudflare) -> None:
    document = vm.up("--tunnel", "cloudflared", **cloudflare.environment)
    assert document["ticket"].startswith("wss://")
    vm.laptop.env.update(cloudflare.environment)
    vm.connect(document["ticket"])
    assert vm.laptop("run", "--", "echo", "hello").stdout.endswith("hello\n")

    os.kill(cloudflare.pid, signal.SIGKILL)
    ticket = until(
        lambda: (
            (now := vm.up("--tunnel", "cloudflared", **cloudflare.environment)["ticket"]) != document["ticket"] and now
        )
    )
    vm.connect(ticket)
    left = cloudflare.pid
    assert vm.shutdown().returncode == 0
    assert not psutil.pid_exists(left)


def test_it_comes_back_after_a_reopening_that_failed(vm: Vm, cloudflare: Cloudflare) -> None:
    vm.up("--tunnel", "cloudflared", **cloudflare.environment)
    cloudflare.mood(start="refused")
    os.kill(cloudflare.pid, signal.SIGKILL)
    until(lambda: "cloudflared ended with 1" in vm.record()["trouble"])
    cloudflare.mood()
    until(lambda: not vm.record()["trouble"])
    vm.laptop.env.update(cloudflare.environment)
    vm.connect(vm.up("--tunnel", "cloudflared", **cloudflare.environment)["ticket"])


def test_what_a_supervisor_had_begun_when_it_was_killed_is_ended(vm: Vm, cloudflare: Cloudflare) -> None:
    cloudflare.mood(ready=False)
    vm.user.env.update(cloudflare.environment)
    words = ["launch", "--tunnel", "cloudflared", "--state-dir", str(vm.state), "--workdir", str(vm.workdir)]
    with vm.user.started(*words, "--authorized-key", str(vm.laptop.ours / "id_ed25519.pub")):
        until(lambda: (vm.state / "runtime.json").exists() and len(vm.record()["children"]) == 2)
        children = [psutil.Process(pid) for pid, _ in vm.record()["children"]]
        os.kill(vm.record()["pid"], signal.SIGKILL)
        assert vm.shutdown().stdout == "stopped\n"
    assert not [child for child in children if child.is_running()]


def test_one_that_ends_at_once_is_named(vm: Vm, cloudflare: Cloudflare) -> None:
    cloudflare.mood(start="refused")
    done = vm.launch("--tunnel", "cloudflared", **cloudflare.environment)
    assert done.returncode == 1
    assert "error: cloudflared ended with 1 after" in done.stderr
    assert "hint: launch again in a minute" in done.stderr


def test_a_machine_without_it_says_where_to_get_it(vm: Vm) -> None:
    done = vm.launch("--tunnel", "cloudflared", CLOUDFLARED_PATH="/nowhere/cloudflared")
    assert done.returncode == 1
    assert "this machine has no `/nowhere/cloudflared`" in done.stderr
    assert "https://github.com/cloudflare/cloudflared/releases" in done.stderr
