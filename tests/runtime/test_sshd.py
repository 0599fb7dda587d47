"""A machine without an sshd: apt brings one, or a sentence says why not. What is here is hidden from one process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sides import SSHD
from vm import Vm, listens

HIDDEN = 'for place in {places}; do mount --bind /dev/null "$place"; done; exec "$@"'


@pytest.fixture
def apt(vm: Vm) -> Path:
    """A folder for programs of the test's own, an sshd for apt-get to bring beside it."""
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("needs to hide a file from a process: run it as root")
    assert SSHD
    shutil.copy(SSHD, vm.user.home / "sshd")
    folder = vm.user.home / "bin"
    folder.mkdir()
    return folder


def apt_get(folder: Path, script: str) -> None:
    """An apt-get that writes down its words and runs `script`."""
    program = folder / "apt-get"
    program.write_text(f'#!/bin/sh\ncd {str(folder)!r}\necho "$@" >> asked\n{script}\n')
    program.chmod(0o700)


def launch(vm: Vm, folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """`launch` where no sshd is to be seen, through the command `before`."""
    places = {os.path.realpath(place) for place in ("/usr/sbin/sshd", SSHD or "") if os.path.exists(place)}
    hidden = ["unshare", "--mount", "sh", "-c", HIDDEN.format(places=" ".join(places)), "sh", *before]
    key = str(vm.laptop.ours / "id_ed25519.pub")
    words = ["launch", "--tunnel", "direct", "--state-dir", str(vm.state), "--workdir", str(vm.workdir)]
    return subprocess.run(
        [*hidden, sys.executable, "-m", "colab_remote", *words, "--authorized-key", key],
        env={**vm.user.env, "PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_apt_brings_it(vm: Vm, apt: Path) -> None:
    apt_get(apt, '[ "$1" = install ] && cp ../sshd . || true')
    done = launch(vm, apt)
    assert done.returncode == 0, done.stderr
    assert (apt / "asked").read_text() == "update -qq\ninstall -y -qq --no-install-recommends openssh-server\n"
    assert listens(vm.up()["port"])


def test_a_machine_that_has_lost_its_sshd_keeps_what_runs(vm: Vm, apt: Path) -> None:
    first = vm.up("--name", "lab")
    apt_get(apt, "exit 100")
    assert launch(vm, apt).returncode == 1
    assert vm.up("--name", "lab") == first


def test_what_apt_says_is_passed_on(vm: Vm, apt: Path) -> None:
    apt_get(apt, "echo 'E: Unable to reach the mirror' >&2; exit 100")
    done = launch(vm, apt)
    assert done.returncode == 1
    assert "no sshd, and `apt-get update` failed: E: Unable to reach the mirror" in done.stderr
    assert "hint: install openssh-server by hand" in done.stderr


def test_without_root_a_sentence_says_what_to_install(vm: Vm, apt: Path) -> None:
    apt_get(apt, "exit 1")
    done = launch(vm, apt, "unshare", "--user")
    assert done.returncode == 1
    assert done.stderr == "error: this machine has no sshd\n\nhint: install it: sudo apt-get install openssh-server\n"
    assert not (apt / "asked").exists()
