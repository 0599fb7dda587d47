"""The laptop's own key."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable

import pytest
from sides import Laptop, Runtime


def test_it_is_made_on_first_use_and_kept(laptop: Laptop) -> None:
    first = laptop.public_line()
    private = laptop.ours / "id_ed25519"
    before = private.read_bytes()
    assert laptop.public_line() == first
    assert private.read_bytes() == before
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(laptop.ours.stat().st_mode) == 0o700


def test_openssh_reads_both_halves(laptop: Laptop) -> None:
    public = laptop.public_line()
    derived = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(laptop.ours / "id_ed25519")], capture_output=True, text=True, check=True
    )
    assert derived.stdout.split()[:2] == public.split()[:2]
    assert public == f"{' '.join(public.split()[:2])} colab-remote\n"


def test_a_host_key_is_printed_alone_and_kept_nowhere(laptop: Laptop) -> None:
    first, second = laptop("hostkey"), laptop("hostkey")
    assert first.stdout.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert first.stdout != second.stdout
    file = laptop.home / "host"
    file.write_text(first.stdout)
    file.chmod(0o600)
    shown = subprocess.run(["ssh-keygen", "-lf", str(file)], capture_output=True, text=True, check=True)
    assert shown.stdout.split()[1] in first.stderr
    assert "secret `SSH_HOST_KEY`" in first.stderr
    assert list(laptop.home.iterdir()) == [file]


def test_the_private_half_is_never_printed(laptop: Laptop) -> None:
    done = laptop("cell", "--embed", "--json")
    secret = (laptop.ours / "id_ed25519").read_text().splitlines()[2]
    assert secret not in done.stdout + done.stderr
    for path in laptop.home.rglob("*.ipynb"):
        assert secret not in path.read_text("utf-8")


@pytest.mark.parametrize(("kind", "more"), [("ed25519", ()), ("ecdsa", ()), ("rsa", ("-b", "2048", "-m", "PEM"))])
def test_a_key_of_the_users_own_lets_in(laptop: Laptop, runtime: Runtime, kind: str, more: tuple[str, ...]) -> None:
    key = laptop.home / "my key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *more, "-N", "", "-f", str(key)], check=True)
    runtime.admit((laptop.home / "my key.pub").read_text())
    done = laptop("connect", runtime.ticket, "-i", "my key")
    assert done.returncode == 0, done.stderr
    assert laptop("status", cwd=laptop.ours).returncode == 0
    assert not (laptop.ours / "id_ed25519").exists()


def test_a_missing_key_is_named(laptop: Laptop, runtime: Runtime) -> None:
    done = laptop("connect", runtime.ticket, "-i", "no such key")
    assert done.returncode == 2
    assert "no such key` cannot be read: No such file" in done.stderr
    assert "hint: name another with `-i`" in done.stderr
    assert not (laptop.ours / "hosts").exists()


def test_what_cannot_be_read_as_a_key_is_refused(laptop: Laptop, runtime: Runtime) -> None:
    key = laptop.home / "key"
    key.write_text("no key\n")
    done = laptop("connect", runtime.ticket, "-i", str(key))
    assert done.returncode == 2, done.stderr
    assert f"`{key}` cannot be read as a private key" in done.stderr
    assert not (laptop.ours / "hosts").exists()


@pytest.mark.parametrize(
    ("mode", "change", "says"),
    [
        (0o644, lambda data: data, "others may read"),
        (0o600, lambda data: data.replace(b"\n", b"\r\n"), "must end in a line feed"),
        (0o600, lambda data: data.rstrip(b"\n"), "must end in a line feed"),
    ],
)
def test_a_key_that_ssh_would_refuse_is_refused(
    laptop: Laptop, runtime: Runtime, mode: int, change: Callable[[bytes], bytes], says: str
) -> None:
    key = laptop.home / "mine"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    runtime.admit((laptop.home / "mine.pub").read_text())
    key.write_bytes(change(key.read_bytes()))
    key.chmod(mode)
    argv = ["ssh", "-F", "/dev/null", "-i", str(key), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]
    to = ["-o", "UserKnownHostsFile=/dev/null", "-p", str(runtime.port), "127.0.0.1", "true"]
    assert subprocess.run([*argv, *to], capture_output=True).returncode == 255
    done = laptop("connect", runtime.ticket, "-i", "mine")
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert not (laptop.ours / "hosts").exists()
