"""The cell, and the notebook around it, that make a Colab VM a runtime of this laptop."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from colab_remote.both.whole import write_whole
from colab_remote.errors import Refused
from colab_remote.laptop.places import make_private
from colab_remote.laptop.wheel import Wheel, wheel_of

LONGEST = 20_000  # characters that a person may be asked to copy
_EMBEDDED = """\
import base64, pathlib
for name, data in {{
{files}
}}.items():
    pathlib.Path("/tmp", name).write_bytes(base64.b85decode(data))
!pip install -q --no-index --no-deps {names}"""
# `launch` on a session of Google's own CLI, which has an sshd already: ours shows the same host key, so that both are
# one runtime to ssh. A process of its own sees no notebook, whose secrets nobody could give here.
_LAUNCH = """\
import os, subprocess, sys
{install}
door = "/etc/ssh/ssh_host_ed25519_key"
same = {{"SSH_HOST_KEY": open(door).read()}} if os.path.exists(door) else {{}}
words = ["launch", "--json", "--tunnel", "direct", "--name", {name!r}, "--authorized-key", {key!r}]
run = [sys.executable, "-m", "colab_remote", *words]
done = subprocess.run(run, env={{**os.environ, **same}}, capture_output=True, text=True)
print(done.stdout, done.stderr, sep="\\n")
"""
_LANGUAGE = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}
_INTRODUCTION = """\
Run the cell below (`Runtime > Run all`). It shows a line to type on your laptop: `colab-remote connect "..."`.

The way out of Colab needs an ngrok token, once: copy it from <https://dashboard.ngrok.com/get-started/your-authtoken>,
open *Secrets* (the key on the left), add it as `NGROK_AUTHTOKEN` and switch *Notebook access* on.
"""


def cell_text(key: str, name: str = "colab", tunnel: str = "auto", embed: bool = False) -> str:
    """The cell that installs what this laptop has and lets the public key line `key` in.

    `embed` puts the package itself into the cell, which needs no index then.
    """
    words = [repr(tunnel)] if tunnel != "auto" else []
    words += [f"name={name!r}"] if name != "colab" else []
    words += [f"authorized_keys={key!r}", "wait=True"]
    version = distribution("colab-remote").version
    return "\n".join(
        (
            f"# colab-remote {version}: lets in the laptop whose public key is below, and no other",
            _install(embed),
            "import colab_remote",
            f"colab_remote.launch({', '.join(words)})",
        )
    )


def launch_code(key: str, name: str) -> str:
    """What a kernel runs to be a runtime behind Google's door, let in by the public key line `key`.

    It prints what `launch --json` says.
    """
    return _LAUNCH.format(install=_install(embed=False), key=key, name=name)


def notebook_json(cell: str, gpu: str) -> bytes:
    """A notebook (nbformat 4) with `cell`, that asks Colab for `gpu`, or for none where it is empty."""
    machine: dict[str, Any] = {"accelerator": "GPU"} if gpu else {}
    metadata = {**machine, "colab": {"provenance": [], **({"gpuType": gpu} if gpu else {})}, **_LANGUAGE}
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": _INTRODUCTION.splitlines(keepends=True)},
        {
            "cell_type": "code",
            "metadata": {},
            "source": cell.splitlines(keepends=True),
            "execution_count": None,
            "outputs": [],
        },
    ]
    notebook = {"nbformat": 4, "nbformat_minor": 0, "metadata": {**metadata, "colab_remote": {}}, "cells": cells}
    return json.dumps(notebook, indent=1, ensure_ascii=False).encode() + b"\n"


def write_notebook(path: Path, notebook: bytes) -> None:
    """Put a notebook at `path`; another file there is replaced only where we wrote it. Raises Refused."""
    if path.suffix != ".ipynb":
        raise Refused(f"`{path}` is no notebook's name", f"call it `{path.with_suffix('.ipynb').name}`")
    if path.exists() and not _is_ours(path):
        raise Refused(f"`{path}` exists, and colab-remote did not write it", "name another file, or remove that one")
    try:
        make_private(path.absolute().parent)
        write_whole(path, notebook, 0o644)
    except OSError as error:
        raise Refused(f"`{path}` cannot be written: {error.strerror}", "name another file") from None


def _install(embed: bool) -> str:
    """The line that installs what this laptop has: that release, that commit, or the package itself."""
    here = distribution("colab-remote")
    origin = json.loads(here.read_text("direct_url.json") or "{}")
    if not origin and not embed:
        return f"!pip install -q colab-remote=={here.version}"
    commit = origin.get("vcs_info", {}).get("commit_id")
    url = urlsplit(origin.get("url", ""))
    if commit and url.scheme == "https" and "@" not in url.netloc and not embed:
        return f"!pip install -q {shlex.quote(f'colab-remote @ git+{url.geturl()}@{commit}')}"
    return _embedded([wheel_of("colab-remote", "colab_remote"), wheel_of("pyngrok", "pyngrok")])


def _embedded(wheels: list[Wheel]) -> str:
    files = "\n".join(f'    "{wheel.name}": "{wheel.text}",' for wheel in wheels)
    return _EMBEDDED.format(files=files, names=" ".join(f"/tmp/{wheel.name}" for wheel in wheels))


def _is_ours(path: Path) -> bool:
    try:
        return "colab_remote" in json.loads(path.read_bytes())["metadata"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
