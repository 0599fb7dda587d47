"""What a test of the runtime may have: a VM to launch on, a live notebook in Colab, ngrok's agent."""

from __future__ import annotations

import gc
import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

import nbformat
import psutil
import pytest
from kernel import Kernel
from nbclient import NotebookClient
from ngrok_account import Agent, install_agent
from sides import Laptop
from vm import Vm, ours_left

COLAB = Path(__file__).parent / "colab"
COLABS_KERNEL = ["--IPKernelApp.kernel_class=google.colab._kernel.Kernel"]


@pytest.fixture
def vm(laptop: Laptop, tmp_path: Path) -> Iterator[Vm]:
    """A VM whose folders have a space and Korean letters in their names."""
    laptop.public_line()
    home = tmp_path / "가상 머신"
    home.mkdir()
    made = Vm(Laptop(home, {**laptop.env, "HOME": str(home)}), laptop, home / "state dir", home / "content")
    yield made
    started = ours_left(made)
    assert made.shutdown().returncode == 0
    assert not [pid for pid in started if psutil.pid_exists(pid)]


@pytest.fixture
def kernel(laptop: Laptop, tmp_path: Path) -> Iterator[Kernel]:
    laptop.public_line()
    home, secrets = tmp_path / "vm", tmp_path / "secrets.json"
    home.mkdir()
    secrets.write_text("{}")
    environment = {**laptop.env, "HOME": str(home), "PYTHONPATH": str(COLAB), "COLAB_SECRETS": str(secrets)}
    client = NotebookClient(nbformat.v4.new_notebook(), timeout=60, kernel_name="python3", allow_errors=True)
    client.extra_arguments = COLABS_KERNEL
    with client.setup_kernel(env=environment):
        made = Kernel(client, secrets, home)
        made.run("import colab_remote")
        yield made
        made.run("from colab_remote.runtime import shutdown")
        made.run(f"from pathlib import Path; shutdown(Path({str(home / '.colab-remote')!r}))")


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    made = install_agent(tmp_path / "bin")
    yield made
    left = made.running()
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    with warnings.catch_warnings():
        # pyngrok never closes the pipe of an agent that was refused; it goes here, and in no other test.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert not left


@pytest.fixture
def content() -> Path:
    """Colab's working directory. It stays: tests beside this one may be using it."""
    folder = Path("/content")
    if not folder.exists() and not os.access("/", os.W_OK):
        pytest.skip("needs to make /content")
    folder.mkdir(exist_ok=True)
    return folder
