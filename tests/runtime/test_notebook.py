"""The cell in a real kernel, with a stand-in for `google.colab` on its path."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from jupyter_core.utils import run_sync
from kernel import Kernel
from sides import PATIENCE, Laptop

from colab_remote.runtime.environment import PROFILE


def launched(kernel: Kernel, arguments: str = "") -> dict[str, Any]:
    """The card's data, by MIME type."""
    outputs = kernel.run(f"runtime = colab_remote.launch('direct', workdir='{kernel.home}/content'{arguments})")
    assert [output["output_type"] for output in outputs][-1] == "display_data", outputs
    data: dict[str, Any] = outputs[-1]["data"]
    return data


def test_the_key_comes_from_colabs_secret_and_the_card_says_what_to_type(kernel: Kernel, laptop: Laptop) -> None:
    kernel.keep(SSH_PUBLIC_KEY=laptop.public_line())
    card = launched(kernel)
    line = next(line for line in card["text/plain"].splitlines() if "colab-remote connect" in line)
    assert laptop("connect", line.split('"')[1], "--open", "none").returncode == 0
    assert "vscode://vscode-remote/ssh-remote+colab/" in card["text/html"]


def test_colabs_rule_is_said_before_anything_is_opened(kernel: Kernel, laptop: Laptop) -> None:
    outputs = kernel.run("import google.colab; colab_remote.launch('direct')")
    assert outputs[0]["text"].startswith("Colab allows SSH with a paid plan")
    assert outputs[1]["output_type"] == "error"


@pytest.mark.parametrize(
    ("secrets", "says"),
    [
        ({}, 'click the key icon on the left, add the secret `SSH_PUBLIC_KEY`, switch on "Notebook access"'),
        ({"SSH_PUBLIC_KEY": None}, 'switch on "Notebook access" for `SSH_PUBLIC_KEY`'),
        ("elsewhere", "open this notebook at https://colab.research.google.com"),
    ],
)
def test_a_key_that_is_missing_is_asked_for_in_colabs_words(kernel: Kernel, secrets: object, says: str) -> None:
    kernel.secrets.write_text(json.dumps(secrets))
    shown = kernel.error("colab_remote.launch('direct')")
    assert shown.startswith("error: ")
    assert says in shown
    assert "Traceback" not in shown


def test_a_token_that_is_missing_is_asked_for_with_its_page(kernel: Kernel, laptop: Laptop) -> None:
    kernel.keep(SSH_PUBLIC_KEY=laptop.public_line())
    shown = kernel.error("colab_remote.launch()")
    assert "https://dashboard.ngrok.com/get-started/your-authtoken" in shown
    assert "add the secret `NGROK_AUTHTOKEN`" in shown


def test_a_runtime_outlives_the_kernel_and_is_found_by_the_next(kernel: Kernel, laptop: Laptop) -> None:
    kernel.keep(SSH_PUBLIC_KEY=laptop.public_line())
    card = launched(kernel)
    run_sync(kernel.client.km.restart_kernel)(now=True)
    run_sync(kernel.client.kc.wait_for_ready)(timeout=PATIENCE)
    kernel.run("import colab_remote")
    assert launched(kernel) == card


def test_an_interrupt_ends_the_waiting_and_nothing_else(kernel: Kernel, laptop: Laptop) -> None:
    kernel.keep(SSH_PUBLIC_KEY=laptop.public_line())
    card = launched(kernel)
    kernel.run(
        "import os, signal, threading\n"
        "threading.Timer(1, os.killpg, (os.getpgid(0), signal.SIGINT)).start()\n"
        f"waited = colab_remote.launch('direct', workdir='{kernel.home}/content', wait=True)"
    )
    assert kernel.run("print(waited.ticket == runtime.ticket, waited.now() is not None)")[0]["text"] == "True True\n"
    assert launched(kernel) == card


def test_the_status_line_counts_connections_and_jobs(kernel: Kernel, laptop: Laptop) -> None:
    kernel.keep(SSH_PUBLIC_KEY=laptop.public_line())
    card = launched(kernel)
    ticket = card["text/plain"].split('"')[1]
    assert laptop("connect", ticket, "--open", "none").returncode == 0
    job = laptop("run", "--detach", "--name", "long", "--", "sleep 60")
    assert job.returncode == 0, job.stderr
    line = kernel.run(
        "from colab_remote.runtime.watch import status_line\nprint(status_line(runtime.now(), runtime.state))"
    )[0]["text"]
    assert "1 job (long, 0 min)" in line
    assert " · RAM " in line
    assert laptop("stop", "long", "--grace", "0").returncode == 0


def test_a_hostile_name_stays_text_in_the_card(kernel: Kernel, laptop: Laptop) -> None:
    kernel.keep(SSH_PUBLIC_KEY=laptop.public_line())
    folder = kernel.home / "<script>alert(1)</script>"
    outputs = kernel.run(f"colab_remote.launch('direct', workdir={str(folder)!r}); None")
    assert "<script>" not in outputs[-1]["data"]["text/html"]


def test_an_editor_that_asks_a_login_shell_sees_the_notebooks_path(kernel: Kernel, laptop: Laptop) -> None:
    kernel.keep(SSH_PUBLIC_KEY=laptop.public_line())
    kernel.run("import google.colab, os; os.environ['PATH'] = '/the/notebooks:' + os.environ['PATH']")
    card = launched(kernel)["text/plain"]
    assert laptop("connect", card.split('"')[1], "--open", "none").returncode == 0
    done = laptop("ssh", "--", "bash -ilc env")
    (path,) = [line for line in done.stdout.splitlines() if line.startswith("PATH=")]
    places = path.removeprefix("PATH=").split(":")
    if os.access(PROFILE.parent, os.W_OK):
        assert places.index("/the/notebooks") < places.index("/usr/bin")
