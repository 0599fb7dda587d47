"""New projects: from a bundled template, or of a folder that is there already."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from colab_remote.both.whole import write_whole
from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.laptop.project import OURS, SETTINGS, never_project, safe_name

_PACKAGE = "colab_remote.templates"
_OWN_NAME = "digits"  # what the templates call their project
_DEFAULT = "pytorch"
_SHARED = "FROM_PYTORCH"  # a template's list of what it has in common with the default one: each file has one home
# Where that name stands, in TOML, JSON and YAML.
_NAMED = {
    SETTINGS: r'(?m)^(name\s*=\s*)"{}"',
    "config.json": r'("name"\s*:\s*)"{}"',
    "sky.yaml": r'(?m)^(name:\s*)"{}"',
}
_LEFT_BEHIND = shutil.ignore_patterns(
    "__pycache__", ".*_cache", "saved", OURS
)  # of a template that was run where it lies
_INIT = """\
# What colab-remote needs to know of this project. Every line may be left out.

[project]
name        = {name}
{train}
# resume    = "python3 train.py -r {{checkpoint}}"     # what `train --resume` runs
# setup     = "pip install -q -r requirements.txt"   # once a runtime, again when it changes
# outputs   = ["saved/"]                             # come home, never go up
# checkpoints = ["saved/**/*.pt", "saved/**/checkpoint-*/"]
# keep      = 3                                      # checkpoints at home: the newest and the best

[sync]
# exclude   = ["data/"]                              # on top of .gitignore and the usual suspects
"""


@dataclass(frozen=True, slots=True)
class Template:
    """A bundled template and what it is, in a line."""

    name: str
    line: str


def all_templates() -> list[Template]:
    """The bundled templates, by name."""
    with _templates() as folder:
        return [Template(path.parent.name, _first_prose(path)) for path in sorted(folder.glob("*/README.md"))]


def make_project(folder: Path, template: str, name: str) -> None:
    """Fill `folder`, new or empty, with that template, the project's name being `name`. Raises Refused.

    What is made appears in one step, or, in a folder that was there, entry by entry with the settings last.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"`{folder}` is there and not empty", "name another folder, or `colab-remote init` it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".colab-remote-new-", dir=folder.parent) as scratch:
            made = Path(scratch) / "project"
            _copy(template, made)
            _rename_project(made, name)
            _move(made, folder)
    except OSError as error:
        raise ColabRemoteError(f"`{folder}` cannot be made: {error.strerror or error}") from None


def init_project(folder: Path) -> Path:
    """Make `folder` a project by writing its `colab-remote.toml`; the file. Raises Refused where one is."""
    settings = folder / SETTINGS
    if never_project(folder.resolve()):
        raise Refused(
            f"`{folder.absolute()}` is a home folder or a drive's root, and never a project", "name a folder inside it"
        )
    if settings.exists():
        raise Refused(f"`{settings}` is there already", "edit it; every key in it may be left out")
    trains = (folder / "train.py").exists()
    train = 'train       = "python3 train.py"' if trains else '# train     = "python3 train.py"'
    text = _INIT.format(name=_quoted(safe_name(folder.resolve().name)), train=train)
    write_whole(settings, text.encode("utf-8"), 0o644)
    return settings


@contextmanager
def _templates() -> Iterator[Path]:
    try:
        found = files(_PACKAGE)
    except ModuleNotFoundError:
        raise ColabRemoteError("this installation lacks its templates", "install colab-remote again") from None
    with as_file(found) as folder:
        yield folder


def _copy(template: str, target: Path) -> None:
    names = [known.name for known in all_templates()]
    if template not in names:
        known = ", ".join(f"`{name}`" for name in names)
        raise Refused(f"no template is called `{template}`", f"there are: {known}")
    with _templates() as folder:
        shutil.copytree(folder / template, target, ignore=_LEFT_BEHIND)
        shared = target / _SHARED
        if shared.exists():
            for name in shared.read_text("utf-8").split():
                _copy_entry(folder / _DEFAULT / name, target / name)
            shared.unlink()


def _copy_entry(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=_LEFT_BEHIND)
    else:
        shutil.copyfile(source, target)


def _move(made: Path, folder: Path) -> None:
    if not folder.exists():
        made.rename(folder)
        return
    for entry in sorted(made.iterdir(), key=lambda entry: entry.name == SETTINGS):
        entry.rename(folder / entry.name)


def _rename_project(folder: Path, name: str) -> None:
    for file, pattern in _NAMED.items():
        path = folder / file
        if path.exists():
            named = re.sub(pattern.format(_OWN_NAME), lambda match: match[1] + _quoted(name), path.read_text("utf-8"))
            path.write_text(named, "utf-8", newline="\n")


def _quoted(name: str) -> str:
    """`name` as both JSON and TOML write it."""
    return json.dumps(name, ensure_ascii=False)


def _first_prose(readme: Path) -> str:
    lines = (line.strip() for line in readme.read_text("utf-8").splitlines())
    return next((line for line in lines if line and not line.startswith("#")), "")
