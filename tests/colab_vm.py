"""A stand-in for a Colab VM: an interpreter with what Colab has, no index, and somebody who runs a notebook there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from sides import PATIENCE

GOOGLE = Path(__file__).parent / "runtime" / "colab"  # a stand-in for `google.colab`
NOT_THERE = ("colab_remote", "__editable__", "pyngrok", "paramiko", "pathspec")  # what Colab lacks
NVIDIA_SMI = """\
#!/bin/sh
case "$*" in
*--query-gpu*) echo "Tesla T4, 15360, 0, 0" ;;
*) echo "| Tesla T4    0MiB / 15360MiB |" ;;
esac
"""


@dataclass(frozen=True)
class ColabVm:
    """A VM whose files lie in `folder`; `environment` is what the processes of its kernel see."""

    folder: Path
    environment: dict[str, str]

    @property
    def python(self) -> Path:
        """The interpreter of its notebooks."""
        return self.folder / "python" / "bin" / "python"

    def keep(self, **secrets: str | None) -> None:
        """Put them into the Secrets pane; None stands for one without notebook access."""
        (self.folder / "secrets.json").write_text(json.dumps(secrets))

    @contextmanager
    def running(self, notebook: Path) -> Iterator[list[dict[str, Any]]]:
        """Run an uploaded notebook's cell until its card and status line are there, or it fails; its outputs.

        The cell is interrupted then, and what it launched shut down at the end.
        """
        client = NotebookClient(nbformat.read(notebook, 4), timeout=300, allow_errors=True, kernel_name="colab")
        try:
            with _kernels(self.folder, self.python), client.setup_kernel(env=self.environment):
                yield _run_until_it_waits(client)
        finally:
            stop = [str(self.python), "-m", "colab_remote", "shutdown"]
            done = subprocess.run(stop, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr


def new_vm(folder: Path, environment: dict[str, str]) -> ColabVm:
    """A VM with a T4 that knows `environment`, its interpreter with the packages that are here but what Colab lacks."""
    home, programs = folder / "home", folder / "programs"
    for made in (home, programs):
        made.mkdir(parents=True)
    (programs / "nvidia-smi").write_text(NVIDIA_SMI)
    (programs / "nvidia-smi").chmod(0o755)
    _make_interpreter(folder / "python")
    away = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    path = f"{folder / 'python' / 'bin'}:{programs}:{environment['PATH']}"
    colab = {"PYTHONPATH": str(GOOGLE), "COLAB_SECRETS": str(folder / "secrets.json"), "COLAB_RELEASE_TAG": "r1"}
    made_vm = ColabVm(folder, {**environment, **away, **colab, "HOME": str(home), "PATH": path})
    made_vm.keep()
    return made_vm


def _make_interpreter(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    ask = [str(folder / "bin" / "python"), "-c", "import site; print(site.getsitepackages()[0])"]
    site = Path(subprocess.check_output(ask, text=True).strip())
    there = {path.name for path in site.iterdir()}
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.name not in there and not path.name.startswith(NOT_THERE):
            (site / path.name).symlink_to(path)
    # Of one core, as far as training goes: on a busy machine two threads of one loop only wait for each other.
    (site / "one_core.pth").write_text("import os; os.environ['OMP_NUM_THREADS'] = '1'\n")


@contextmanager
def _kernels(folder: Path, python: Path) -> Iterator[None]:
    """Have Jupyter know that interpreter as the kernel `colab`."""
    spec = folder / "jupyter" / "kernels" / "colab"
    spec.mkdir(parents=True, exist_ok=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Colab", "language": "python"}))
    before = os.environ.get("JUPYTER_PATH")
    os.environ["JUPYTER_PATH"] = str(folder / "jupyter")
    try:
        yield
    finally:
        os.environ.pop("JUPYTER_PATH")
        os.environ |= {"JUPYTER_PATH": before} if before else {}


def _run_until_it_waits(client: NotebookClient) -> list[dict[str, Any]]:
    (index,) = [number for number, cell in enumerate(client.nb.cells) if cell.cell_type == "code"]
    cell = client.nb.cells[index]
    manager: Any = client.km
    ended = threading.Event()

    def interrupt() -> None:
        deadline = time.monotonic() + 10 * PATIENCE
        while len(cards(cell.outputs)) < 2 and time.monotonic() < deadline:
            if ended.wait(0.2):
                return
        os.kill(manager.provisioner.pid, signal.SIGINT)

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    client.execute_cell(cell, index)
    ended.set()
    watcher.join()
    return [dict(output) for output in cell.outputs]


def cards(outputs: list[dict[str, Any]]) -> list[str]:
    """What was displayed, as text: the card, then the status line; neither where the cell failed."""
    return [
        output["data"]["text/plain"]
        for output in outputs
        if output["output_type"] == "display_data" and output["data"]["text/plain"]
    ]
