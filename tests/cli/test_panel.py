"""What a person sees of a training on a terminal: the panel below the log, gone afterwards."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from sides import PATIENCE, Host

TRAIN = """
import json, pathlib, time
folder = pathlib.Path("saved")
folder.mkdir()
for epoch in (1, 2, 3):
    print(f"10 %\\r\\x1b[31mepoch {epoch} trained\\x1b[0m", flush=True)
    record = {"epoch": epoch, "step": 10 * epoch, "images": 640 * epoch, "epochs": 4, "loss": 1.0 / epoch}
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(record) + "\\n")
    time.sleep(1)
"""


def test_epoch_loss_rate_and_time_left_stand_below_the_log(host: Host) -> None:
    root = host.laptop.home / "panel [bold]"
    root.mkdir()
    (root / "colab-remote.toml").write_text('[project]\ntrain = "python3 train.py"\n')
    (root / "train.py").write_text(TRAIN)
    shown, code = on_a_terminal(host, root, "train")
    assert code == 0, shown
    assert "epoch  3/4  ########################--------  loss 0.3333" in shown
    assert re.search(r"loss   #[-:]\.  1 -> 0.333", shown)
    assert "\x1b[31mepoch 3 trained" in shown
    assert shown.count("epoch 3 trained") == 1
    assert "home     saved/metrics.jsonl" in shown


def on_a_terminal(host: Host, root: Path, *words: str) -> tuple[str, int]:
    """All that a command writes to a terminal, and its exit code."""
    ours, its = pty.openpty()
    env = {**host.laptop.env, "TERM": "xterm", "COLUMNS": "120"}
    env.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "colab_remote", *words], cwd=root, env=env, stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:
        pass  # the other end is closed
    os.close(ours)
    return shown.decode(), process.wait(PATIENCE)
