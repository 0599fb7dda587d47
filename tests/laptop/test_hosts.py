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


def test_among_several_hosts_a_command_says_how_it_is_told_which(host: Host) -> None:
    assert host.laptop("connect", host.runtime.ticket, "--name", "other", "--open", "none").returncode == 0
    refused = host.laptop("status")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: several hosts are known here: `colab`, `other`\n\nhint: ")
    named = refused.stderr.partition("`--host NAME`, or just its name after ")[2]
    assert "`status`" in named
    assert host.laptop("status", "other", "--json").returncode == 0
    assert host.laptop("run", "--host", "other", "--", "true").returncode == 0
