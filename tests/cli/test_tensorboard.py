"""TensorBoard here where it is installed, else there: stand-ins on PATH and in the project."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path

from sides import PATIENCE, Host, free_port, until

# A module of that name in the project: what `python3 -m tensorboard.main` finds there.
SERVER = """
import sys, http.server
port = int(sys.argv[sys.argv.index("--port") + 1])
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(repr(sys.argv[1:3]).encode())
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""


def project(host: Host, name: str) -> Path:
    root = host.laptop.home / name
    root.mkdir()
    (root / "colab-remote.toml").touch()
    return root


def test_it_shows_the_outputs_at_home_where_it_is_installed(host: Host) -> None:
    program = host.laptop.home / "tensorboard"
    program.write_text('#!/bin/sh\necho "$PWD" "$@"\n')
    program.chmod(0o755)
    root = project(host, "board")
    path = f"{host.laptop.home}:{host.laptop.env['PATH']}"
    done = host.laptop("tensorboard", "--port", "6010", cwd=root, PATH=path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{root} --logdir saved/ --host localhost --port 6010\n"


def test_it_runs_there_and_is_forwarded_where_it_is_not(host: Host) -> None:
    root = project(host, "far board")
    (root / "tensorboard").mkdir()
    (root / "tensorboard" / "__init__.py").touch()  # else one that is installed comes first
    (root / "tensorboard" / "main.py").write_text(SERVER)
    assert host.laptop("sync", cwd=root).returncode == 0
    port = free_port()
    places = host.laptop.env["PATH"].split(os.pathsep)
    host.laptop.env["PATH"] = os.pathsep.join(place for place in places if not Path(place, "tensorboard").exists())
    with host.laptop.started("tensorboard", "--port", str(port), cwd=root) as shown:
        assert until(lambda: answer(port)) == "['--logdir', 'saved/']"
        shown.send_signal(signal.SIGINT)
        shown.communicate(timeout=PATIENCE)
    jobs = json.loads(host.laptop("jobs", "--json").stdout)["jobs"]
    assert [job["state"] for job in jobs if job["folder"].endswith("far board")] == ["stopped"]


def answer(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as page:
            return str(page.read().decode())
    except OSError:
        return ""
