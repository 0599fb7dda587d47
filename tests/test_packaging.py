"""What is installed: the wheel's requirements, its templates, its public names."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import requires
from importlib.resources import files
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import colab_remote

FREEZE = Path(__file__).parent / "data" / "colab-pip-freeze.txt"


def runtime_requirements() -> list[Requirement]:
    declared = [Requirement(line) for line in requires("colab-remote") or ()]
    return [need for need in declared if not need.marker or "extra" not in str(need.marker)]


def in_colab() -> dict[str, str]:
    lines = [line.split("==") for line in FREEZE.read_text().splitlines() if "==" in line]
    return {canonicalize_name(name): version for name, version in lines}


def test_torch_is_required_by_an_extra_only() -> None:
    assert "torch" not in {need.name for need in runtime_requirements()}
    assert any(line.startswith("torch") and "extra" in line for line in requires("colab-remote") or ())


def test_installing_changes_nothing_that_colab_has(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    resolve = (
        *("-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", str(report)),
        *("--python-version", "3.13", "--only-binary", ":all:", "--target", str(tmp_path / "never")),
        *("--constraint", str(FREEZE), *map(str, runtime_requirements())),
    )
    done = subprocess.run([sys.executable, *resolve], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    chosen = {
        canonicalize_name(item["metadata"]["name"]): item["metadata"]["version"]
        for item in json.loads(report.read_text())["install"]
    }
    assert {name: version for name, version in chosen.items() if name in in_colab()}.items() <= in_colab().items()
    assert "torch" not in chosen


@pytest.mark.parametrize("name", ["train.py", "config.json", "colab-remote.toml", ".gitignore", "README.md"])
def test_the_default_template_is_inside(name: str) -> None:
    assert (files("colab_remote.templates") / "pytorch" / name).is_file()


def test_the_public_names() -> None:
    for name in colab_remote.__all__:
        assert getattr(colab_remote, name).__doc__, name
    with pytest.raises(AttributeError):
        colab_remote.no_such_name  # noqa: B018
