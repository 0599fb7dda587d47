"""Two sides that every test may have: a runtime with a real sshd, and a laptop with an empty HOME.

    def test_something(host: Host) -> None:    # a laptop that knows this worker's runtime as `colab`
        done = host.laptop("run", "--", "true")
        assert done.returncode == 0, done.stderr

The types are in `sides.py` (`from sides import Host`). The runtime is one for all tests of a worker, the laptop is each
test's own.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sides import SMALL_DISK, Host, Laptop, Runtime, started_sshd

# A suite that a script runs in the background inherits that interrupts are ignored, and all that it starts would.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run first what may take longest, as its mark says: as the last it would keep one core idle."""

    def allowed(item: pytest.Item) -> float:
        mark = item.get_closest_marker("timeout")
        return float(mark.args[0]) if mark else 0.0

    items.sort(key=allowed, reverse=True)


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """This worker's runtime. Shared: use names of your own in `workdir`."""
    with started_sshd(tmp_path_factory.mktemp("runtime")) as found:
        yield found


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    """A fresh user's laptop. Its lines end with the test."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COLAB_REMOTE_", "XDG_", "SSH_"))}
    # Not below `tmp_path`, which bears the test's name: a socket's path has to be short.
    with TemporaryDirectory(prefix="run-") as sockets:
        found = Laptop(home, {**kept, "HOME": str(home), "XDG_RUNTIME_DIR": sockets})
        try:
            yield found
        finally:
            found.end_lines()


@pytest.fixture
def host(laptop: Laptop, runtime: Runtime) -> Host:
    """A laptop after its first `connect`."""
    runtime.admit(laptop.public_line())
    done = laptop("connect", runtime.ticket, "--open", "none")
    assert done.returncode == 0, done.stderr
    return Host(laptop, runtime)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, which only root can mount."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "none", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a full disk needs root and `mount -t tmpfs`")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
