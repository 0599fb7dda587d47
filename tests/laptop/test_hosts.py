"""The hosts that a laptop knows, on its disk."""

from __future__ import annotations

from pathlib import Path

from sides import Host, Laptop, Runtime


def test_a_host_connects(host: Host) -> None:
    done = host.laptop("status", "--json")
    assert done.returncode == 0, done.stderr


def test_without_an_openssh_client_all_but_ssh_itself_works(laptop: Laptop, runtime: Runtime, tmp_path: Path) -> None:
    runtime.admit(laptop.public_line())
    bare = Laptop(laptop.home, {**laptop.env, "PATH": str(tmp_path / "nothing")})
    known = bare("connect", runtime.ticket)
    assert known.returncode == 0, known.stderr
    assert "ssh                  is not installed here, and editors need it" in known.stdout
    assert "hint: install it: " in known.stderr
    assert bare("run", "--", "echo hi").stdout == "hi\n"
    refused = bare("ssh", "--", "true")
    assert refused.returncode == 2
    assert "this machine has no `ssh`" in refused.stderr
