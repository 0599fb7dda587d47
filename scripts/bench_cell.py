"""`launch()` with ngrok against the same by hand, both in a live Python, both with the stand-in for ngrok's agent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from measure import table

RUNS = 7
AGENT = Path(__file__).parent.parent / "tests" / "ngrok_agent.py"
TOKEN = "2abcDEFghi_5pQrStUvWxYz0123456789"

OURS = """
import json, os, time, colab_remote
from colab_remote.runtime import shutdown, start
from colab_remote.runtime.wanted import want
began = time.perf_counter()
made = start(want(tunnel="ngrok", name="colab", token=None, keys=os.environ["KEY"], workdir=os.environ["HOME"],
                  state=os.environ["HOME"] + "/state"))
took = time.perf_counter() - began
pss = sum(int(line.split()[1]) for line in open(f"/proc/{made.pid}/smaps_rollup") if line.startswith("Pss:"))
made.stop()
print(json.dumps([took, pss]))
"""
BY_HAND = """
import json, os, shutil, socket, subprocess, time
from pyngrok import ngrok
home = os.environ["HOME"]
began = time.perf_counter()
subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home + "/host"], check=True)
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
sshd = subprocess.Popen([shutil.which("sshd", path="/usr/sbin:" + os.environ["PATH"]), "-D", "-f", os.devnull, "-h",
                         home + "/host", "-o", f"ListenAddress=127.0.0.1:{port}", "-o", "PidFile=none"])
while True:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        break
    except OSError:
        time.sleep(0.005)
with open(home + "/ngrok.yml", "w") as file:
    file.write(json.dumps({"version": "3", "agent": {"authtoken": os.environ.pop("NGROK_AUTHTOKEN"),
                                                     "web_addr": "127.0.0.1:14041"}}))
os.chmod(home + "/ngrok.yml", 0o600)
from pyngrok.conf import PyngrokConfig
ngrok.connect(f"127.0.0.1:{port}", "tcp", pyngrok_config=PyngrokConfig(config_path=home + "/ngrok.yml"))
took = time.perf_counter() - began
ngrok.kill()
sshd.terminate()
print(json.dumps([took, 0]))
"""


def timed(code: str) -> tuple[float, int]:
    """Seconds that the code says it took, and the kilobytes (PSS) of what it left running beside sshd and agent."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        agent = folder / "ngrok"
        agent.write_text(f"#!{sys.executable}\n{AGENT.read_text()}")
        agent.chmod(0o700)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
        env = {**os.environ, "HOME": name, "KEY": str(folder / "key.pub"), "NGROK_AUTHTOKEN": TOKEN}
        env |= {"PYNGROK_NGROK_PATH": str(agent)}
        done = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
        took, kilobytes = json.loads(done.stdout.splitlines()[-1])
        return float(took), int(kilobytes)


def main() -> None:
    """Print both, and the memory of the supervisor."""
    pairs = [(timed(BY_HAND), timed(OURS)) for _ in range(RUNS)]
    hand, ours = (median(pair[side][0] for pair in pairs) for side in (0, 1))
    memory = median(pair[1][1] for pair in pairs)
    rows = [
        ("ssh-keygen, sshd and `pyngrok.connect` by hand", f"{hand:.2f} s", ""),
        ("`launch()`", f"{ours:.2f} s", f"{ours - hand:+.2f} s"),
    ]
    table(f"The cell, medians of {RUNS}", ("way", "until reachable", "difference"), rows)
    print(f"\nWhat stays beside sshd and the agent, the supervisor: {memory / 1000:.0f} MB (PSS).\n")


if __name__ == "__main__":
    main()
