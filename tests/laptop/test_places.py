"""Where our things are kept."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from colab_remote.laptop.places import records, settings_file


@pytest.mark.parametrize("named", [None, "", "relative/folder", "absolute"])
def test_kept_where_platformdirs_says(named: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLAB_REMOTE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
        if named is not None:
            monkeypatch.setenv(variable, str(tmp_path / variable) if named == "absolute" else named)

    assert records() == platformdirs.user_state_path("colab-remote", appauthor=False)
    assert settings_file() == platformdirs.user_config_path("colab-remote", appauthor=False) / "config.toml"
