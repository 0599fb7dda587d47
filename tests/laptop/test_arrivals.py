"""Clients that come while no file descriptor is left."""

from __future__ import annotations

import socket
import subprocess
import sys

from sides import PATIENCE

SERVE = """
import os, resource, socket, threading
from colab_remote.laptop.arrivals import arrivals

listener = socket.create_server(("127.0.0.1", 0))
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    print(listener.getsockname()[1], flush=True)
threading.Timer(0.3, lambda: [os.close(handle) for handle in held]).start()
for client in arrivals(listener):
    client.sendall(b"welcome")
    client.close()
    listener.close()
"""


def test_who_comes_meanwhile_is_let_in_when_there_is_room_again() -> None:
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            assert client.recv(99) == b"welcome"
        assert server.wait(PATIENCE) == 0
