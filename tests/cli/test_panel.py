"""What a person sees of a training on a terminal: the panel below the log, gone afterwards."""

from __future__ import annotations

import re

from bad_network import BadNetwork
from sides import Host
from terminal import on_a_terminal

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


def test_a_checkpoint_on_its_way_tells_how_much_of_it_is_here(host: Host) -> None:
    root = host.laptop.home / "on its way"
    root.mkdir()
    (root / "colab-remote.toml").write_text(
        '[project]\ntrain = "mkdir saved; head -c 1500000 /dev/urandom > saved/x"\n'
    )
    with BadNetwork(("127.0.0.1", host.runtime.port), rate=800_000) as network:
        ticket = host.runtime.ticket.replace(f":{host.runtime.port}/", f":{network.port}/")
        assert host.laptop("connect", ticket, "--replace", "--open", "none").returncode == 0
        shown, code = on_a_terminal(host, root, "train")
    assert code == 0, shown
    assert re.search(r"home   saved/x on its way, [\d.]+ [kM]B of 1\.5 MB", shown), shown
    assert (root / "saved/x").stat().st_size == 1_500_000
