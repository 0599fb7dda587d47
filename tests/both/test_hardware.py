"""GPUs as nvidia-smi tells of them: a stand-in on PATH."""

from __future__ import annotations

from pathlib import Path

import pytest

from colab_remote.both.hardware import gpus

T4 = {"name": "Tesla T4", "total": 15360 << 20, "used": 3100 << 20, "load": 0.87}


@pytest.mark.parametrize(
    ("says", "found"),
    [
        ("Tesla T4, 15360, 3100, 87, 61", [{**T4, "degrees": 61.0}]),
        ("Tesla T4, 15360, 3100, 87, [N/A]", [{**T4, "degrees": None}]),
        ("Tesla T4, 15360, 3100, 87", [{**T4, "degrees": None}]),
        ("Tesla T4, [N/A], [N/A], [N/A], 40", []),
        ("No devices were found", []),
        ("", []),
    ],
)
def test_each_gpu_that_tells_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, found: list[object]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert gpus() == found
