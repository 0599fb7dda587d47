"""The laptop is kept from sleep by a command of its system, which ends with us: a stand-in on PATH."""

from __future__ import annotations

from pathlib import Path

import pytest
from sides import until

from colab_remote.laptop.awake import awake

CAFFEINATE = """#!/bin/sh
echo "$@" > {folder}/asked
shift
"$@"
touch {folder}/ended
"""


def test_the_systems_command_is_held_as_long_as_we_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "caffeinate"
    program.write_text(CAFFEINATE.format(folder=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with awake():
        until((tmp_path / "asked").exists)
        assert not (tmp_path / "ended").exists()
    assert (tmp_path / "asked").read_text() == "-i cat\n"
    assert (tmp_path / "ended").exists()


def test_a_system_that_offers_nothing_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with awake():
        pass
