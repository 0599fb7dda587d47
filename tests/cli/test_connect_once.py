"""A new VM at the old address, with the kept host key: nothing on the laptop has to be told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sides import PATIENCE, Laptop, Runtime, free_port, started_sshd, until
from vm import lose

# Goes on from the checkpoint that it is given, and waits after step 2 of a first run.
TRAIN = """
import os, pathlib, sys, time, zipfile
begin = 1
if "-r" in sys.argv:
    with zipfile.ZipFile(sys.argv[-1]) as archive:
        begin = int(archive.read("step")) + 1
os.makedirs("saved", exist_ok=True)
for step in range(begin, 4):
    with zipfile.ZipFile("new", "w") as archive:
        archive.writestr("step", str(step))
    os.replace("new", f"saved/step-{step}.pt")
    print("step", step, flush=True)
    while step == 2 and begin == 1:
        time.sleep(0.1)
"""


def test_ssh_a_training_and_an_open_watch_go_on_with_the_next_vm(laptop: Laptop, tmp_path: Path) -> None:
    key, port, project = tmp_path / "host_key", free_port(), laptop.home / "once"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    project.mkdir()
    python = sys.executable
    toml = f'[project]\ntrain = "{python} train.py"\nresume = "{python} train.py -r {{checkpoint}}"\n'
    (project / "colab-remote.toml").write_text(toml)
    (project / "train.py").write_text(TRAIN)
    with started_sshd(tmp_path / "vm", port=port, host_key=key) as first:
        first.admit(laptop.public_line())
        assert laptop("connect", first.ticket, "--open", "none").returncode == 0
        with laptop.started("sync", "--watch", cwd=project) as watch:
            edited(project, "before", first)
            with laptop.started("train", cwd=project) as training:
                until((project / "saved/step-2.pt").exists)
                lose(tmp_path / "vm")
                training.kill()
                training.communicate()
            with started_sshd(tmp_path / "vm", port=port, host_key=key) as second:
                second.admit(laptop.public_line())
                argv = ["ssh", "-F", str(laptop.home / ".ssh" / "config"), "colab", "echo hello"]
                said = subprocess.run(argv, env=laptop.env, capture_output=True, text=True, timeout=PATIENCE)
                assert said.stdout == "hello\n", said.stderr
                resumed = laptop("train", "--resume", cwd=project)
                assert resumed.returncode == 0, resumed.stderr
                assert "resume   saved/step-2.pt" in resumed.stderr
                assert resumed.stdout == "step 3\n"
                edited(project, "after", second)
                assert watch.poll() is None


def edited(project: Path, name: str, runtime: Runtime) -> None:
    """A new file of the project is on the runtime by itself."""
    (project / name).write_text(name)
    until((runtime.workdir / "once" / name).exists, f"`{name}` does not arrive")
