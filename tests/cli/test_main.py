"""What every command shares: help, errors, exit codes, and how little it imports."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from colab_remote.cli import COMMANDS, LazyGroup

HEAVY = {"cryptography", "paramiko", "pathspec", "psutil", "pyngrok", "rich", "torch", "yaml"}


def colab_remote(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "colab_remote", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def imported_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_each_line_of_the_table_is_the_commands_own(name: str) -> None:
    command = LazyGroup().get_command(click.Context(click.Command("x")), name)
    assert command is not None
    assert inspect.cleandoc(command.help or "").split("\n")[0] == COMMANDS[name][1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    done = colab_remote(name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: colab-remote {name}")


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert not imported_by("import colab_remote") & (HEAVY | {"click"})


def test_help_imports_click_and_nothing_heavy() -> None:
    assert not imported_by("from colab_remote.cli import run\nrun(['--help'])") & HEAVY


def test_without_a_word_it_prints_the_help_alone() -> None:
    done = colab_remote()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == colab_remote("--help").stdout


def test_an_unknown_command_is_wrong_usage_in_two_lines() -> None:
    done = colab_remote("trian")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: No such command 'trian'.")
    assert "hint: `colab-remote --help`" in done.stderr


@pytest.mark.parametrize("words", ["run ls -la", "run echo hi", "ssh colab nvidia-smi", "train --epochs 3"])
def test_what_is_meant_for_the_runtime_and_stands_elsewhere_is_led_there(words: str) -> None:
    done = colab_remote(*words.split())
    assert done.returncode == 2
    assert done.stderr.endswith("what is meant for the runtime stands after `--`\n")


def test_with_json_an_error_is_a_document_on_stdout() -> None:
    done = colab_remote("connect", "--json", "nonsense")
    assert done.returncode == 2
    error = json.loads(done.stdout)
    assert error["schema"] == 1
    assert error["error"]["code"] == "refused"
    assert error["error"]["exit"] == 2
    assert error["error"]["message"] in done.stderr


@pytest.mark.parametrize("words", ["nosuch --json", "sync --json --bogus", "sync --bogus --json", "up --json --gpu"])
def test_with_json_wrong_usage_is_a_document_too(words: str) -> None:
    done = colab_remote(*words.split())
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"] in done.stderr


def test_a_json_that_is_meant_for_the_runtime_asks_for_no_document() -> None:
    assert colab_remote("run", "--bogus", "--", "show", "--json").stdout == ""


@pytest.mark.parametrize("seconds", ["inf", "1e300", "86401", "0", "nan"])
def test_a_timeout_that_is_none_is_refused(seconds: str) -> None:
    done = colab_remote("--timeout", seconds, "list")
    assert done.returncode == 2
    assert "--timeout" in done.stderr


def test_a_closed_pipe_ends_quietly() -> None:
    command = f"{sys.executable} -m colab_remote --help | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""


@pytest.mark.parametrize("words", ["--help", "jobs --json"])
def test_output_that_cannot_be_written_is_a_sentence(words: str, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "colab_remote", *words.split()],
            env={**os.environ, "HOME": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: this machine: No space left on device\n\nhint: ")
    assert "Traceback" not in done.stderr


def test_what_the_system_refuses_names_the_file(tmp_path: Path) -> None:
    (tmp_path / ".ssh").touch()
    done = colab_remote("cell", HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: `{tmp_path}/.ssh/colab-remote`: Not a directory\n\nhint: ")


def test_a_folder_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    script = f"mkdir gone; cd gone; rmdir ../gone; {sys.executable} -m colab_remote sync"
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the folder that this was called in is gone\n")
