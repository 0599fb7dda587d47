"""The pages for a beginner, followed to the letter, so that they cannot rot.

What stands in `sh` blocks is typed, what stands in `text` blocks must be printed, figures apart but for numbers of
files. Google, ngrok, apt and pipx are played by stand-ins; ssh is told where this laptop's home is, because it asks the
password database.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from colab_vm import cards, new_vm
from ngrok_account import TOKEN, Agent
from sides import Laptop

from colab_remote.both.ignore import SUSPECTS
from colab_remote.errors import ColabRemoteError
from colab_remote.laptop.project import Project, read_settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "start.md", ROOT / "docs" / "start.ko.md"]
PIPX = f"""\
#!/bin/sh
[ "$1" = ensurepath ] && exit
[ "$1" = install ] && [ -f "$2/setup.cfg" ] || exit 1
mkdir -p ~/.local/bin
ln -s {Path(sys.executable).with_name("colab-remote")} ~/.local/bin/
"""
SSH = '#!/bin/sh\nexec /usr/bin/ssh -F ~/.ssh/config "$@"\n'


def blocks(page: Path) -> list[tuple[str, str]]:
    """The fenced blocks of a page, in order: their kind and their text."""
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def figures_apart(line: str) -> str:
    return re.sub(r"(?<!\d)\d[\d.,:]*(?! files|[\d.,:])", "0", line).rstrip()


def test_both_languages_and_the_readme_say_the_same_to_type() -> None:
    english, korean = map(blocks, PAGES)
    assert english == korean
    readme = [block for block in blocks(ROOT / "README.md") if block[0] == "sh"]
    assert readme == [block for block in english if block[0] == "sh"]


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_the_three_things_to_paste_stand_in_a_table(page: Path) -> None:
    rows = [line for line in page.read_text("utf-8").splitlines() if re.match(r"\| [123] \|", line)]
    assert len(rows) == 3
    for row, word in zip(rows, ("colab.ipynb", "`NGROK_AUTHTOKEN`", "connect"), strict=True):
        assert word in row


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")), ids=str)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


def test_the_page_of_settings_has_every_key_variable_and_exit_code(tmp_path: Path) -> None:
    page = ROOT / "docs" / "settings.md"
    text, (project, own) = page.read_text("utf-8"), (text for kind, text in blocks(page) if kind == "toml")
    (tmp_path / "colab-remote.toml").write_text(project)
    keys = {field.name for field in fields(Project)} - {"root", "id"}
    assert read_settings(tmp_path / "colab-remote.toml").keys() == keys
    assert set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)))) >= keys
    assert tomllib.loads(own) == {"line": {"idle": "10m"}}
    code = "".join(path.read_text("utf-8") for path in (ROOT / "colab_remote").rglob("*.py"))
    variables = re.compile(r"\bCOLAB_REMOTE_[A-Z]+\b")
    assert set(variables.findall(text)) == set(variables.findall(code))
    codes = {0, 1, 130, *(kind.exit_code for kind in ColabRemoteError.__subclasses__())}
    assert set(map(int, re.findall(r"^\| (\d+) \|", text, re.MULTILINE))) == codes


def test_the_page_of_sync_names_every_usual_suspect() -> None:
    text = (ROOT / "docs" / "sync.md").read_text("utf-8")
    assert [suspect for suspect in SUSPECTS if f"`{suspect.lstrip('!')}`" not in text] == []


@pytest.mark.timeout(600)
def test_the_page_gets_a_beginner_in(laptop: Laptop, agent: Agent, content: Path, tmp_path: Path) -> None:
    agent.mood(tcp=8013)  # what most beginners have: an account without a card
    folder = tmp_path / "colab-remote"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    beginner = Typist(folder, {**laptop.env, "PATH": f"{programs(tmp_path)}:{laptop.home}/.local/bin:/usr/bin:/bin"})
    page = blocks(PAGES[0])
    here = next(number for number, (kind, text) in enumerate(page) if kind == "text" and text.startswith("colab  "))

    beginner.follow(page[:here])
    metadata = json.loads((folder / "colab.ipynb").read_text("utf-8"))["metadata"]
    assert (metadata["accelerator"], metadata["colab"]["gpuType"]) == ("GPU", "T4")
    vm = new_vm(tmp_path / "vm", {**laptop.env, "PYNGROK_NGROK_PATH": str(agent.folder / "ngrok")})
    vm.keep(NGROK_AUTHTOKEN=TOKEN)
    try:
        with vm.running(folder / "colab.ipynb") as outputs:
            pasted = next(line for line in cards(outputs)[0].splitlines() if "colab-remote connect" in line)
            beginner.follow([("sh", pasted), *page[here:]])
            assert list(folder.glob("digits/saved/**/*.pt"))
            assert laptop("run", "--", "command -v python3").stdout.strip() == str(vm.python.with_name("python3"))
    finally:
        shutil.rmtree(content / "digits", ignore_errors=True)


class Typist:
    """Somebody who types what a page says, in a terminal that stands in `folder`, and compares what it prints."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment, self.printed = str(folder), environment, ""

    def follow(self, page: Sequence[tuple[str, str]]) -> None:
        for kind, text in page:
            if kind == "sh":
                self._type(text)
                continue
            seen = set(map(figures_apart, self.printed.splitlines()))
            assert not [line for line in text.splitlines() if figures_apart(line) not in seen], self.printed

    def _type(self, text: str) -> None:
        both: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        argv = ["bash", "-ec", f"{text}\npwd"]
        done = subprocess.run(argv, cwd=self.folder, env=self.environment, encoding="utf-8", **both)
        assert done.returncode == 0, done.stdout
        self.printed, _, self.folder = done.stdout.rstrip().rpartition("\n")


def programs(folder: Path) -> Path:
    """A folder with the stand-ins for pipx and ssh."""
    made = folder / "programs"
    made.mkdir()
    for name, text in {"pipx": PIPX, "ssh": SSH}.items():
        (made / name).write_text(text)
        (made / name).chmod(0o755)
    return made
