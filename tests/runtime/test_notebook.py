"""The cell in a real kernel, with a stand-in for `google.colab` on its path."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from jupyter_core.utils import run_sync
from kernel import Kernel
from ngrok_account import TOKEN, Agent
from sides import PATIENCE, Laptop, until

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
    run_sync(kernel.manager.restart_kernel)(now=True)
    client: Any = kernel.client.kc
    run_sync(client.wait_for_ready)(timeout=PATIENCE)
    kernel.run("import colab_remote")
    assert launched(kernel) == card


def test_a_waiting_cell_tells_a_new_address_and_an_interrupt_ends_the_waiting_alone(
    agent: Agent, kernel: Kernel, laptop: Laptop
) -> None:
    kernel.keep(SSH_PUBLIC_KEY=laptop.public_line(), NGROK_AUTHTOKEN=TOKEN)
    kernel.run(f"import os; os.environ['PYNGROK_NGROK_PATH'] = {agent.environment['PYNGROK_NGROK_PATH']!r}")
    arguments = f"'ngrok', workdir='{kernel.home}/content'"
    card = kernel.run(f"runtime = colab_remote.launch({arguments})")[-1]["data"]["text/plain"]
    assert laptop("connect", card.split('"')[1], "--open", "none").returncode == 0
    assert laptop("run", "--detach", "--name", "long", "--", "sleep 60").returncode == 0

    def move_and_interrupt(cell: Any) -> None:
        try:
            until(lambda: "ngrok up · " in str(cell.outputs))
            agent.mood(later="moved")
            until(lambda: "the address has changed" in str(cell.outputs))
        finally:
            kernel.interrupt()

    said = str(kernel.run(f"waited = colab_remote.launch({arguments}, wait=True)", move_and_interrupt))
    assert "sshd, the tunnel and jobs go on" in said
    now = kernel.run("print(runtime.ticket)")[0]["text"].strip()
    assert f'colab-remote connect "{now}"' in said
    assert len(agent.starts()) == 1
    assert laptop("connect", now, "--open", "none").returncode == 0
    assert [job["state"] for job in json.loads(laptop("jobs", "--json").stdout)["jobs"]] == ["running"]
    assert laptop("stop", "long", "--grace", "0").returncode == 0


def test_a_token_that_is_typed_is_taken_and_shown_nowhere(agent: Agent, kernel: Kernel, laptop: Laptop) -> None:
    kernel.keep(SSH_PUBLIC_KEY=laptop.public_line())
    kernel.run(f"import os; os.environ['PYNGROK_NGROK_PATH'] = {agent.environment['PYNGROK_NGROK_PATH']!r}")
    person = kernel.manager.blocking_client()
    person.start_channels()
    asked: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []

    def answer(message: dict[str, Any]) -> None:
        asked.append(message["content"])
        person.input(TOKEN)

    code = f"colab_remote.launch('ngrok', workdir='{kernel.home}/content')"
    done = person.execute_interactive(
        code, allow_stdin=True, stdin_hook=answer, output_hook=shown.append, timeout=PATIENCE
    )
    person.stop_channels()
    assert done["content"]["status"] == "ok", shown
    assert [one["password"] for one in asked] == [True]
    assert "https://dashboard.ngrok.com" in asked[0]["prompt"]
    assert TOKEN not in str(shown)
    assert len(agent.running()) == 1


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


def test_a_hostile_folder_stays_text_in_the_card(kernel: Kernel, laptop: Laptop) -> None:
    kernel.keep(SSH_PUBLIC_KEY=laptop.public_line())
    folder = kernel.home / "<script>alert(1)</script>"
    hostile = f"workdir={str(folder)!r}, region='--log=<script>'"
    outputs = kernel.run(f"colab_remote.launch('direct', {hostile}); None")
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
