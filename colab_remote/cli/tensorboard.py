"""TensorBoard over a project's outputs, here or there."""

from __future__ import annotations

import random
import shlex
import shutil
import subprocess
import threading
from functools import partial
from pathlib import Path

import click

from colab_remote.cli.following import ended
from colab_remote.cli.output import output
from colab_remote.cli.show import Show
from colab_remote.laptop.contact import contact
from colab_remote.laptop.forward import lead_there, listen_here
from colab_remote.laptop.hosts import Host, choose_host
from colab_remote.laptop.jobs import Order, follow, start, stop
from colab_remote.laptop.project import Project, remembered_host, require_project, work_folder
from colab_remote.laptop.reach import reach

_PORT = 6006  # TensorBoard's own
_FAR = range(20_000, 32_000)  # ports of the runtime that nobody else is likely to have


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--host", "host_name", help="The host; the project's, or the only one, where it is left out.")
@click.option("--port", type=click.IntRange(1, 65535), default=_PORT, show_default=True, help="Where it answers.")
def tensorboard(folder: Path | None, host_name: str | None, port: int) -> int:
    """TensorBoard over a project's outputs, until Ctrl-C.

    Over those at home where TensorBoard is installed here, else on the runtime, its port forwarded.
    """
    project = require_project(folder or Path.cwd())
    words = ["--logdir", _outputs(project), "--host", "localhost", "--port"]
    here = shutil.which("tensorboard")
    output().say(f"tensorboard  http://localhost:{port}/  {'over the outputs at home' if here else 'on the runtime'}")
    if here:
        return subprocess.call([here, *words, str(port)], cwd=project.root)
    return _there(choose_host(host_name, remembered_host(project)), project, shlex.join(words), port)


def _outputs(project: Project) -> str:
    """The folder of the project that holds its outputs, from the project's own."""
    folders = [pattern for pattern in project.outputs if pattern.endswith("/") and "*" not in pattern]
    return folders[0] if len(project.outputs) == len(folders) == 1 else "."


def _there(host: Host, project: Project, words: str, port: int) -> int:
    """Run it as a job and lead its port here; the job ends with this command."""
    listener, far = listen_here(port), random.choice(_FAR)
    command = f"python3 -m tensorboard.main {words} {far}"
    order = Order(command, work_folder(host, project), "tensorboard", project=project.id)
    say = output().say
    with contact(host, output().timeout, say) as made, reach(host, output().timeout, say) as reached:
        job = start(made, made.open_agent(), order, project.root)
        lead = partial(lead_there, listener, partial(reached.open_port, far), say)
        threading.Thread(target=lead, daemon=True).start()
        try:
            return ended(follow(made, None, job, Show()))
        finally:
            stop(reached.open_agent(), job, grace=1)
