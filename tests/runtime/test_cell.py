"""The notebook that a laptop writes, run as it is on a machine that has what Colab has, and no index."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from ngrok_account import TOKEN, Agent
from sides import PATIENCE, Laptop

COLAB = Path(__file__).parent / "colab"
NOT_THERE = ("colab_remote", "__editable__", "pyngrok", "paramiko", "pathspec")  # what Colab lacks


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter with the packages that are here, but those that Colab lacks."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "colab")], check=True)
    made = tmp_path / "colab" / "bin" / "python"
    site = Path(
        subprocess.check_output([made, "-c", "import site; print(site.getsitepackages()[0])"], text=True).strip()
    )
    there = {path.name for path in site.iterdir()}
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.name not in there and not path.name.startswith(NOT_THERE):
            (site / path.name).symlink_to(path)
    return made


def test_the_notebook_makes_a_runtime_of_a_machine_without_an_index(
    laptop: Laptop, agent: Agent, python: Path, content: Path, tmp_path: Path
) -> None:
    assert laptop("notebook", "colab.ipynb", "--gpu", "T4").returncode == 0
    notebook = nbformat.read(laptop.home / "colab.ipynb", 4)
    assert notebook.metadata["accelerator"] == "GPU"
    assert notebook.metadata["colab"]["gpuType"] == "T4"
    home, secrets = tmp_path / "vm", tmp_path / "secrets.json"
    home.mkdir()
    secrets.write_text(json.dumps({"NGROK_AUTHTOKEN": TOKEN}))
    away = {**agent.environment, "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    del away["NGROK_AUTHTOKEN"]
    path = f"{python.parent}:{laptop.env['PATH']}"
    env = {
        **laptop.env,
        **away,
        "HOME": str(home),
        "PATH": path,
        "PYTHONPATH": str(COLAB),
        "COLAB_SECRETS": str(secrets),
    }
    client = NotebookClient(notebook, timeout=120, allow_errors=True)
    with kernel_of(client, python, tmp_path), client.setup_kernel(env=env):
        try:
            card = run_until_it_waits(client)
            line = next(line for line in card.splitlines() if "colab-remote connect" in line)
            assert laptop("connect", line.split('"')[1], "--open", "none").returncode == 0
            assert laptop("run", "--", "command -v python3").stdout.strip() == str(python.with_name("python3"))
        finally:
            stop = [str(python), "-m", "colab_remote", "shutdown"]
            done = subprocess.run(stop, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout == "stopped\n", done.stderr


class kernel_of:
    """Have `client` run its notebook on the interpreter `python`."""

    def __init__(self, client: NotebookClient, python: Path, folder: Path) -> None:
        self.client, self.folder = client, folder / "jupyter"
        spec = self.folder / "kernels" / "colab"
        spec.mkdir(parents=True)
        argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Colab", "language": "python"}))

    def __enter__(self) -> None:
        self.before = os.environ.get("JUPYTER_PATH")
        os.environ["JUPYTER_PATH"] = str(self.folder)
        self.client.kernel_name = "colab"

    def __exit__(self, *_: object) -> None:
        if self.before is None:
            del os.environ["JUPYTER_PATH"]
        else:
            os.environ["JUPYTER_PATH"] = self.before


def run_until_it_waits(client: NotebookClient) -> str:
    """Run the notebook's cell as a person would, and interrupt it once its card is there; the card's text."""
    (index,) = [number for number, cell in enumerate(client.nb.cells) if cell.cell_type == "code"]
    cell = client.nb.cells[index]
    found: list[str] = []

    def interrupt() -> None:
        deadline = time.monotonic() + 5 * PATIENCE
        while not found and time.monotonic() < deadline and not ended.wait(0.2):
            found.extend(
                output["data"]["text/plain"]
                for output in cell.outputs
                if output["output_type"] == "display_data" and "connect" in output["data"]["text/plain"]
            )
        os.kill(client.km.provisioner.pid, signal.SIGINT)

    ended = threading.Event()
    watcher = threading.Thread(target=interrupt)
    watcher.start()
    client.execute_cell(cell, index)
    ended.set()
    watcher.join()
    assert found, cell.outputs
    assert not [output for output in cell.outputs if output["output_type"] == "error"], cell.outputs
    return found[0]
