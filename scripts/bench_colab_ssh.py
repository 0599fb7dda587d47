"""`launch()` against the real colab-ssh, step by step as it is, both in a throwaway copy of this machine.

Each run has an overlay of the root file system, its own processes and its own network, through which only apt-get
reaches out: colab-ssh changes root's password, sshd's configuration and /etc/environment, and ends processes by name.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from statistics import median

from measure import table

RUNS = 3
TESTS = Path(__file__).resolve().parents[1] / "tests"
TOKEN = "2abcDEFghi_5pQrStUvWxYz0123456789"
NEEDED = ("unshare", "nsenter", "ip", "unzip", "apt-get")

SANDBOX = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mount -t proc proc /mnt/root/proc
mount --rbind /dev /mnt/root/dev
touch /mnt/root/mnt/net
mount --bind /proc/self/ns/net /mnt/root/mnt/net
exec unshare --net sh -c 'ip link set lo up && exec chroot /mnt/root "$@"' sh "$@"
"""
APT = """#!/bin/sh
began=$(date +%s.%N)
nsenter --net=/mnt/net {apt} "$@"
code=$?
echo "$began $(date +%s.%N)" >> {folder}/apt
exit $code
"""
# The agent that colab-ssh drives: version 2's command line and list of tunnels.
OLD_AGENT = """#!{python}
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
sys.stdout = open(os.devnull, "w")  # colab-ssh closes the pipe
sys.path.insert(0, {tests!r})
from ngrok_agent import Endpoint
made = Endpoint("colab-ssh", "localhost:" + sys.argv[-1], "tcp")
class Web(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({{"tunnels": [{{"public_url": made.described["url"]}}]}}).encode())
    def log_message(self, *_):
        pass
HTTPServer(("127.0.0.1", 4040), Web).serve_forever()
"""
ANSWERS = """
import socket
with socket.create_connection((host, int(port)), 5) as there:
    assert there.recv(4) == b"SSH-"
"""
THEIRS = (
    """
import contextlib, io, json, os, sys, time, types, urllib.request
def get(url):
    return types.SimpleNamespace(json=lambda: json.load(urllib.request.urlopen(url)))
# Colab has both; of apt only the name is used.
sys.modules.update(apt=types.ModuleType("apt"), requests=types.SimpleNamespace(get=get))
slept, sleep = [], time.sleep
time.sleep = lambda seconds: (slept.append(seconds), sleep(seconds))
said = io.StringIO()
with contextlib.redirect_stdout(said):
    began = time.perf_counter()
    from colab_ssh import launch_ssh
    launch_ssh(os.environ["NGROK_AUTHTOKEN"])
    took = time.perf_counter() - began
host, port = said.getvalue().partition("Successfully running ")[2].split()[0].split(":")
"""
    + ANSWERS
    + """
apt = [float(end) - float(start) for start, end in map(str.split, open(os.environ["FOLDER"] + "/apt"))]
print(json.dumps([took, sum(apt), sum(slept)]))
"""
)
OURS = (
    """
import contextlib, io, json, os, time
with contextlib.redirect_stdout(io.StringIO()):
    began = time.perf_counter()
    import colab_remote
    made = colab_remote.launch("ngrok", authorized_keys=os.environ["FOLDER"] + "/key.pub")
    took = time.perf_counter() - began
host, port = made.host, made.port
"""
    + ANSWERS
    + """
made.stop()
print(json.dumps([took, 0, 0]))
"""
)


def program(path: Path, text: str) -> None:
    """An executable with this text."""
    path.write_text(text)
    path.chmod(0o700)


def stand_ins(folder: Path) -> None:
    """What both find on PATH: apt-get that reaches out, wget that brings the agent, and the agent."""
    program(folder / "apt-get", APT.format(apt=shutil.which("apt-get"), folder=folder))
    program(folder / "agent", f"#!{sys.executable}\n{(TESTS / 'ngrok_agent.py').read_text()}")
    program(folder / "old", OLD_AGENT.format(python=sys.executable, tests=str(TESTS)))
    with zipfile.ZipFile(folder / "ngrok.zip", "w") as archive:
        archive.write(folder / "old", "ngrok")
    program(folder / "wget", f"#!/bin/sh\ncp {folder}/ngrok.zip ngrok-stable-linux-amd64.zip\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)


def timed(code: str) -> list[float]:
    """Seconds that the code took, those of apt-get and those it slept among them."""
    with tempfile.TemporaryDirectory() as name:
        stand_ins(Path(name))
        env = {**os.environ, "PATH": f"{name}:{os.environ['PATH']}", "FOLDER": name, "HOME": "/root"}
        env |= {"NGROK_AUTHTOKEN": TOKEN, "PYNGROK_NGROK_PATH": f"{name}/agent"}
        inside = ["unshare", "--mount", "--pid", "--fork", "bash", "-c", SANDBOX, "bash", sys.executable, "-c", code]
        done = subprocess.run(inside, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        found: list[float] = json.loads(done.stdout.splitlines()[-1])
        return found


def main() -> None:
    """Print both ways, and what colab-ssh's time is made of."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    if os.geteuid() or missing:
        print(f"\nscripts/bench colab_ssh was not run: it needs root and {', '.join(missing or NEEDED)}")
        return
    pairs = [(timed(THEIRS), timed(OURS)) for _ in range(RUNS)]
    took, apt, slept = (median(theirs[column] for theirs, _ in pairs) for column in range(3))
    ours = median(ours[0] for _, ours in pairs)
    rows = [
        ("`from colab_ssh import launch_ssh; launch_ssh(token)`", f"{took:.1f} s", "1.00"),
        ("of these in apt-get: update twice, openssh-server, pwgen", f"{apt:.1f} s", f"{apt / took:.2f}"),
        ("of these in its `time.sleep`", f"{slept:.1f} s", f"{slept / took:.2f}"),
        ("`import colab_remote; colab_remote.launch('ngrok')`", f"{ours:.1f} s", f"{ours / took:.2f}"),
    ]
    table(f"The cell against colab-ssh, medians of {RUNS}", ("way", "until reachable", "against colab-ssh"), rows)
    print(
        "\nRun: all of colab-ssh's steps, with apt-get's real mirror, its sshd, and an agent of its own that forwards."
        "\nNot run: ngrok's download (wget finds it on disk), ngrok itself, pip's installation of either package.\n"
    )


if __name__ == "__main__":
    main()
