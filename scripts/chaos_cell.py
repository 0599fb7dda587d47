"""SIGKILL of sshd, of ngrok's agent and of the supervisor, at random: `chaos_cell.py [KILLS] [SEED]`.

After sshd's end and the agent's a laptop is let in again without anybody's help, after the supervisor's by the same
`launch`. A job goes on through all of it, and after `shutdown` nothing is left.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import ngrok_agent  # noqa: E402
from ngrok_account import Agent, runs  # noqa: E402
from sides import Laptop  # noqa: E402
from vm import Vm, listens  # noqa: E402

PATIENCE = 20.0  # seconds after which it has not come back
VICTIMS = ("sshd", "agent", "supervisor")


def machine(folder: Path) -> tuple[Vm, Agent]:
    """A VM, the laptop that it lets in, and the stand-in for ngrok's agent there."""
    for name in ("laptop", "vm", "bin"):
        (folder / name).mkdir()
    agent = Agent(folder / "bin")
    (folder / "bin" / "ngrok").write_text(f"#!{sys.executable}\n{Path(ngrok_agent.__file__).read_text()}")
    (folder / "bin" / "ngrok").chmod(0o700)
    here = {**os.environ, **agent.environment, "XDG_RUNTIME_DIR": str(folder)}
    laptop = Laptop(folder / "laptop", {**here, "HOME": str(folder / "laptop")})
    user = Laptop(folder / "vm", {**here, "HOME": str(folder / "vm")})
    laptop.public_line()
    return Vm(user, laptop, folder / "vm" / "state", folder / "vm" / "content"), agent


def kill(vm: Vm, agent: Agent, victim: str) -> float:
    """Kill it; seconds until an SSH server answers at the address that is recorded then."""
    before = vm.record()
    began = time.monotonic()
    pid = {"sshd": before["sshd"], "agent": agent.running()[-1], "supervisor": before["pid"]}[victim]
    os.kill(pid, signal.SIGKILL)
    while runs(pid):
        time.sleep(0.001)
    if victim == "supervisor":
        vm.up("--tunnel", "ngrok")
    while time.monotonic() < began + PATIENCE:
        now = vm.record()
        new = now["pid"] != before["pid"] or now["sshd"] != before["sshd"] or now["address"] != before["address"]
        if new and listens(now["address"]["port"]):
            return time.monotonic() - began
        time.sleep(0.01)
    raise SystemExit(f"not reachable {PATIENCE:.0f} s after the end of {victim}")


def main(kills: int = 30, seed: int = 0) -> None:
    """Kill, see that it comes back, and print how long that took."""
    chance = random.Random(seed)
    took: dict[str, list[float]] = {victim: [] for victim in VICTIMS}
    with tempfile.TemporaryDirectory(prefix="chaos") as name:
        vm, agent = machine(Path(name))
        vm.connect(vm.up("--tunnel", "ngrok")["ticket"])
        job = vm.laptop("run", "--detach", "--", "trap 'echo ended' EXIT; sleep 3600").stdout.strip()
        for number in range(kills):
            victim = VICTIMS[number] if number < len(VICTIMS) else chance.choice(VICTIMS)
            took[victim].append(kill(vm, agent, victim))
            assert len(agent.running()) == 1, f"{agent.running()} run after the end of {victim}"
        vm.connect(vm.up("--tunnel", "ngrok")["ticket"])
        (state,) = (one["state"] for one in json.loads(vm.laptop("jobs", "--json").stdout)["jobs"])
        assert state == "running", state
        assert vm.laptop("stop", job, "--grace", "0").returncode == 0
        left = [*agent.running(), vm.record()["pid"], vm.record()["sshd"]]
        assert vm.shutdown().returncode == 0
        assert not [pid for pid in left if runs(pid)]
        vm.laptop.end_lines()
    for victim, seconds in took.items():
        times = f"{median(seconds):.2f} s, {max(seconds):.2f} at most"
        print(f"{victim:<10} {len(seconds):4} kills   reachable again after {times}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
