"""What a person sees of a transfer that takes a while: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bad_network import BadNetwork
from sides import Host
from terminal import on_a_terminal


@contextmanager
def slowly(host: Host, name: str, seconds: float) -> Iterator[Path]:
    """A project for which a megabyte is to come down, over a line that takes that long for it."""
    root = host.laptop.home / name
    root.mkdir()
    (root / "colab-remote.toml").touch()
    assert host.laptop("sync", cwd=root).returncode == 0
    (host.runtime.workdir / name / "data.bin").write_bytes(random.Random(1).randbytes(1_000_000))
    with BadNetwork(("127.0.0.1", host.runtime.port), rate=1_000_000 / seconds) as network:
        ticket = host.runtime.ticket.replace(f":{host.runtime.port}/", f":{network.port}/")
        assert host.laptop("connect", ticket, "--replace", "--open", "none").returncode == 0
        yield root


def test_a_bar_on_a_terminal_that_is_gone_afterwards(host: Host) -> None:
    with slowly(host, "bar", 4) as root:
        shown, code = on_a_terminal(host, root, "sync")
    assert code == 0, shown
    assert re.search(r"[1-9]/1\.0 MB.* 1 file · \d+ kB/s · \d s left", shown), shown
    assert "0 files up, 1 down" in shown


def test_lines_now_and_then_where_there_is_no_terminal(host: Host) -> None:
    with slowly(host, "lines", 7) as root:
        done = host.laptop("sync", cwd=root)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^sync +\d+ kB of 1\.0 MB · 1 file · \d+ kB/s · \d s left$", done.stderr, re.MULTILINE)
