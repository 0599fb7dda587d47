"""Consoles that cannot show every letter: a C locale, Korean Windows. No command ends because of one."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sides import Host, Laptop

C = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
WITHOUT_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
KOREAN_WINDOWS = {"PYTHONIOENCODING": "cp949"}
FILE = "é 한글 🙂.txt"
# The commands that report, in an order that works.
WORDS = {
    "templates": [],
    "init": [],
    "cell": ["--embed"],
    "hostkey": [],
    "doctor": [],
    "notebook": ["노트 é.ipynb"],
    "list": [],
    "status": [],
    "sync": ["-v"],
    "run": ["--name", "é-한글", "--", "echo é 한글"],
    "jobs": [],
    "logs": [],
    "stop": [],
    "pull": [],
    "open": ["é 한글"],
    "launch": ["--tunnel", "é 한글"],
    "shutdown": ["--state-dir", "é 한글"],
    "new": ["é 한글"],
    "disconnect": ["colab"],
}


def project(host: Host) -> Path:
    """A folder with a file, both of odd names, that is nobody else's on the runtime."""
    folder = host.laptop.home / f"naïve 한글 🙂 {secrets.token_hex(4)}"
    folder.mkdir()
    (folder / FILE).write_text("x")
    return folder


def told(laptop: Laptop, cwd: Path, console: dict[str, str], *words: str) -> tuple[int, bytes]:
    """The exit code of a command and all that it printed there."""
    argv = [sys.executable, "-m", "colab_remote", *words]
    both: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    done = subprocess.run(argv, cwd=cwd, env={**laptop.env, **console}, timeout=60, **both)
    return done.returncode, done.stdout


@pytest.mark.parametrize("console", [C, KOREAN_WINDOWS], ids=["C", "cp949"])
def test_every_command_that_reports_does_so_on_any_console(host: Host, console: dict[str, str]) -> None:
    folder = project(host)
    for name, words in WORDS.items():
        code, printed = told(host.laptop, folder, console, name, *words)
        assert code == (2 if name in ("launch", "open") else 0), printed
        assert b"defect" not in printed
        assert b"Traceback" not in printed
        if name not in ("run", "logs"):  # a job's log is passed on as it is
            printed.decode("ascii" if console is C else "cp949")
        if console is C:
            assert b"\\xb7" not in printed


def test_json_is_json_on_any_console(host: Host) -> None:
    folder = project(host)
    assert told(host.laptop, folder, KOREAN_WINDOWS, "init")[0] == 0
    code, printed = told(host.laptop, folder, KOREAN_WINDOWS, "sync", "--json", "--dry-run")
    assert code == 0, printed
    assert FILE in json.loads(printed.splitlines()[-1])["up"]


def test_names_that_this_python_cannot_tell_are_not_synced(host: Host) -> None:
    folder = project(host)
    assert told(host.laptop, folder, C, "init")[0] == 0
    code, printed = told(host.laptop, folder, WITHOUT_UTF8, "sync")
    assert code == 2
    assert b"hint: set PYTHONUTF8=1" in printed
    assert (folder / FILE).exists()


@pytest.mark.parametrize(
    ("redirected", "code"),
    [("> /dev/full", 1), (">&-", 7), ("2> /dev/full", 7), ("2>&-", 7)],
)
def test_a_stream_that_takes_nothing_neither_hides_the_job_nor_its_exit_code(
    host: Host, redirected: str, code: int
) -> None:
    command = f'"$0" -m colab_remote run --no-sync -- "echo hi; exit 7" {redirected}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable],
        cwd=project(host),
        env=host.laptop.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr
    assert done.stdout == ("hi\n" if redirected.startswith("2") else "")
    assert ("goes on, on" in done.stderr) == (code == 1)
