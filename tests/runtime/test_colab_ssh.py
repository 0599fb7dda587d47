"""A notebook that was written for colab-ssh, after its import was changed."""

from __future__ import annotations

import getpass
import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from kernel import Kernel
from ngrok_account import TOKEN, Agent
from sides import Laptop

import colab_remote

# colab-ssh's own example, but for the values.
CELL = """
from colab_ssh import launch_ssh, init_git

ngrokToken = {token!r}
launch_ssh(ngrokToken, password={password!r}{more})
"""
PASSWORD = "correct horse"


@pytest.fixture
def colab_ssh(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The real package. It imports what only Colab has, and calls apt-get while it is imported."""
    for name in ("apt", "requests"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setenv("PATH", "/nowhere")
    return importlib.import_module("colab_ssh")


def with_our_import(more: str = "", password: str = PASSWORD) -> str:
    cell = CELL.format(token=TOKEN, password=password, more=more)
    return cell.replace("from colab_ssh import", "from colab_remote import")


def printed(outputs: list[dict[str, Any]]) -> str:
    assert not [output for output in outputs if output["output_type"] == "error"], outputs
    return "".join(output["text"] for output in outputs if output["output_type"] == "stream")


@pytest.mark.parametrize("name", ["launch_ssh", "launch_ssh_cloudflared", "init_git", "init_git_cloudflared"])
def test_the_signature_is_the_real_ones(colab_ssh: Any, name: str) -> None:
    real, ours = (
        [(one.name, one.kind, one.default) for one in inspect.signature(function).parameters.values()]
        for function in (getattr(colab_ssh, name), getattr(colab_remote, name))
    )
    assert ours == real


def test_a_cell_for_colab_ssh_runs_with_its_import_changed(
    content: Path, agent: Agent, kernel: Kernel, laptop: Laptop
) -> None:
    kernel.keep(SSH_PUBLIC_KEY=laptop.public_line())
    kernel.run(f"import os; os.environ['PYNGROK_NGROK_PATH'] = {agent.environment['PYNGROK_NGROK_PATH']!r}")
    outputs = kernel.run(with_our_import(', region="ap", remote_addr="1.tcp.ngrok.io:12345"'))
    said = printed(outputs)
    assert said.count("the password is ignored") == 1
    assert said.count("`remote_addr='1.tcp.ngrok.io:12345'` is ignored") == 1
    assert PASSWORD not in said
    assert TOKEN not in said
    card = next(output["data"]["text/plain"] for output in outputs if output["output_type"] == "display_data")
    ticket = card.split('"')[1]
    lines = dict(re.findall(r"^ *(HostName|User|Port) (\S+)$", said, re.MULTILINE))
    assert lines == {"HostName": "127.0.0.1", "User": getpass.getuser(), "Port": re.findall(r":(\d+)/", ticket)[0]}
    assert agent.starts()[0]["argv"][-2:] == ["--region", "ap"]
    assert laptop("connect", ticket, "--open", "none").returncode == 0
    done = laptop("ssh", "--", "pwd; echo in")
    assert done.stdout.endswith("in\n"), done.stderr


def test_without_a_key_a_password_is_refused_and_the_way_on_is_told(agent: Agent, kernel: Kernel) -> None:
    shown = kernel.error(with_our_import())
    assert shown.startswith("error: no public key says who may log in, and there are no passwords here")
    assert "`colab-remote cell` on your laptop" in shown
    assert "add the secret `SSH_PUBLIC_KEY`" in shown
    assert "`github:USER`" in shown
    assert PASSWORD not in shown
    assert not agent.starts()


def test_one_for_cloudflared_says_where_its_program_is_to_be_had(kernel: Kernel, laptop: Laptop) -> None:
    kernel.keep(SSH_PUBLIC_KEY=laptop.public_line())
    shown = kernel.error("colab_remote.launch_ssh_cloudflared(password='x')")
    assert "this machine has no `cloudflared`" in shown
    assert "https://github.com/cloudflare/cloudflared/releases" in shown


def test_an_empty_token_is_looked_up(kernel: Kernel, laptop: Laptop) -> None:
    kernel.keep(SSH_PUBLIC_KEY=laptop.public_line())
    assert "add the secret `NGROK_AUTHTOKEN`" in kernel.error("colab_remote.launch_ssh('')")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("init_git('https://github.com/me/mine.git', personal_token='ghp_x')", "`colab-remote sync`"),
        ("init_git_cloudflared('https://github.com/me/mine.git')", "`colab-remote sync`"),
    ],
)
def test_what_is_not_here_says_what_to_use(kernel: Kernel, call: str, says: str) -> None:
    shown = kernel.error(f"colab_remote.{call}")
    assert shown.startswith("error: ")
    assert says in shown
    assert "ghp_x" not in shown
