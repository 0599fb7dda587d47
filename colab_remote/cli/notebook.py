"""What goes into Colab: a cell, or a notebook around it."""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path

import click

from colab_remote.cli.output import output, reports
from colab_remote.errors import Refused

_TUNNELS = ("auto", "ngrok", "ngrok-http")
_EMBED = "Put the package itself into it, so that Colab needs no index."
_FALLBACK = Path("colab.ipynb")


@click.command()
@click.option("--tunnel", type=click.Choice(_TUNNELS), default="auto", show_default=True, help="The way out of Colab.")
@click.option("--name", default="colab", show_default=True, help="What the host will be called here.")
@click.option("--embed", is_flag=True, help=_EMBED)
@reports
def cell(tunnel: str, name: str, embed: bool) -> None:
    """Print the cell that lets this laptop into a Colab VM.

    Your public key is in it. On a terminal it is copied to the clipboard too. A cell too long to paste is written
    as `colab.ipynb` instead.
    """
    from colab_remote.laptop.cell import LONGEST, cell_text
    from colab_remote.laptop.clipboard import copy
    from colab_remote.laptop.keys import own_key, public_line
    from colab_remote.ticket import check_name

    text = cell_text(public_line(own_key()), check_name(name), tunnel, embed)
    if len(text) > LONGEST:
        output().say(f"the cell has {len(text) // 1000} kB, too long to paste: it is written as a notebook instead")
        _write(_FALLBACK, text, "T4")
        return
    output().report({"cell": text}, (text,))
    if sys.stdout.isatty() and copy(text):
        output().say("\ncopied: paste it into a notebook at https://colab.research.google.com and run it")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--gpu", default="T4", show_default=True, help="The GPU to ask Colab for, or `none`.")
@click.option("--embed", is_flag=True, help=_EMBED)
@reports
def notebook(file: Path, gpu: str, embed: bool) -> None:
    """Write that cell as a notebook to open in Colab.

    FILE is replaced only where colab-remote wrote it.
    """
    from colab_remote.laptop.cell import cell_text
    from colab_remote.laptop.keys import own_key, public_line

    if not re.fullmatch(r"[A-Za-z0-9-]{1,20}", gpu):
        raise Refused(f"`{gpu}` is no GPU's name", "Colab's are T4, L4, A100, H100")
    _write(file, cell_text(public_line(own_key()), embed=embed), "" if gpu == "none" else gpu)


@click.command()
@reports
def hostkey() -> None:
    """Make a host key to keep as Colab's secret SSH_HOST_KEY.

    Every VM then shows the same fingerprint. What is printed is kept nowhere: whoever has it can pass for your runtime.
    """
    from colab_remote.laptop.keys import new_pair
    from colab_remote.ticket import fingerprint

    private, public = new_pair("host")
    text, found = private.decode(), fingerprint(base64.b64decode(public.split()[1]))
    output().report({"host_key": text, "fingerprint": found}, (text.rstrip(),))
    output().say(
        f"\n{found}\nin Colab, click the key icon on the left, add it as the secret `SSH_HOST_KEY`, and switch on "
        '"Notebook access"'
    )


def _write(file: Path, text: str, gpu: str) -> None:
    from colab_remote.laptop.cell import notebook_json, write_notebook

    write_notebook(file, notebook_json(text, gpu))
    output().report({"notebook": str(file.absolute())}, (str(file),))
    output().say("open it at https://colab.research.google.com (File > Upload notebook) and run its cell")
