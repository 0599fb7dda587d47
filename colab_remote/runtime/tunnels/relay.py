"""A machine of the user's own: `ssh -R` from here to there, where the laptop comes by ProxyJump."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import threading
from pathlib import Path

from colab_remote.both.whole import write_whole
from colab_remote.errors import ColabRemoteError, ProviderRefused, Refused
from colab_remote.runtime.ending import end_tree
from colab_remote.runtime.tunnels import RELAY_FILE, RELAY_SHAPE, Address, Plan, from_here
from colab_remote.ticket import FINGERPRINT, Ticket, fingerprint, parse_ticket

_PINNED = "relay_known_hosts"
_PATIENCE = 20  # seconds for the relay to answer
_PORTS = range(20000, 30000)
_READY, _TAKEN, _KEY_REFUSED = "remote forward success", "remote port forwarding failed", "Permission denied"


class Relay:
    """A running ssh, and the port of the relay that leads here. Raises ColabRemoteError."""

    def __init__(self, port: int, plan: Plan) -> None:
        relay = parse_relay(plan.relay)
        _pin(relay, plan.state)
        there = port_there(plan.state, plan.name)
        self.address = Address("ssh", "localhost", there, "relay", f"through {relay.user}@{relay.host}", via(relay))
        self._said: list[str] = []
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            ssh_argv(relay, plan.state, there, from_here(plan.bind_host), port),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        plan.begun()
        threading.Thread(target=self._listen, daemon=True).start()
        if not self._ready.wait(_PATIENCE) or self._process.poll() is not None:
            self.close()
            raise _sentence(self._said, relay, there, plan.state)

    def alive(self) -> bool:
        """Whether ssh runs: it ends when the relay does not answer for 45 s."""
        return self._process.poll() is None

    def close(self) -> None:
        """End ssh; the relay's port goes with it."""
        if self._process.poll() is None:  # else its pid may be another's by now
            end_tree(self._process.pid)
            self._process.wait()

    def _listen(self) -> None:
        assert self._process.stderr
        with self._process.stderr as lines:
            for line in lines:
                self._said = [*self._said[-20:], line.strip()]
                if _READY in line:
                    self._ready.set()
        self._process.wait()
        self._ready.set()


def open_tunnel(port: int, plan: Plan) -> Relay:
    """Open a way to sshd's `port` through the relay. Raises ProviderRefused where it says no, Refused, else
    ColabRemoteError.
    """
    return Relay(port, plan)


def parse_relay(text: str) -> Ticket:
    """The relay that `USER@HOST[:PORT][#SHA256:...]` names; its fingerprint may be empty. Raises Refused."""
    where, _, pinned = text.partition("#")
    host = where.rpartition("@")[2]
    port = "" if host.rpartition(":")[2].isdigit() and not host.endswith("]") else ":22"
    try:
        relay = parse_ticket(f"ssh://{where}{port}/#{pinned or 'SHA256:' + 43 * 'A'}")
    except Refused:
        raise Refused(f"`{text}` is no relay", RELAY_SHAPE) from None
    return relay if pinned else Ticket(relay.scheme, relay.user, relay.host, relay.port, "/", "")


def via(relay: Ticket) -> str:
    """`USER@HOST:PORT`, as a ticket's `via` has it."""
    return f"{relay.user}@{relay.host}:{relay.port}"


def port_there(state: Path, name: str) -> int:
    """The relay's port for this key and host name: the same on every VM that has the key."""
    public = (state / RELAY_FILE).with_suffix(".pub").read_bytes()
    number = int.from_bytes(hashlib.sha256(public + name.encode()).digest()[:4], "big")
    return _PORTS[number % len(_PORTS)]


def authorized_line(state: Path, port: int) -> str:
    """What the relay's `authorized_keys` needs: this key may listen at `port` of its loopback, and nothing else."""
    public = (state / RELAY_FILE).with_suffix(".pub").read_text().strip()
    may = f'restrict,port-forwarding,permitlisten="localhost:{port}",permitopen="localhost:1",command="false"'
    return f"{may} {public} colab-remote"


def ssh_argv(relay: Ticket, state: Path, there: int, host: str, port: int) -> list[str]:
    """The ssh that keeps the relay's port `there` led to sshd at `host` and `port`."""
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlgorithms": "ssh-ed25519",
        "HostKeyAlias": "relay",
        "UserKnownHostsFile": f'"{state / _PINNED}"',
        "GlobalKnownHostsFile": "/dev/null",
        "ExitOnForwardFailure": "yes",
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "3",
        "ConnectTimeout": str(_PATIENCE),
    }
    words = [f"-o{name}={value}" for name, value in options.items()]
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # -v: that the relay has granted the port is said nowhere else.
    forward = ["-v", "-N", "-T", "-R", f"localhost:{there}:{target}", "-i", str(state / RELAY_FILE)]
    return ["ssh", "-F", "none", *words, *forward, "-p", str(relay.port), "-l", relay.user, "--", relay.host]


def _pin(relay: Ticket, state: Path) -> None:
    """Keep the relay's host key, asked for and compared, where ssh finds it. Raises Refused for another one."""
    scan = ["ssh-keyscan", "-T", "10", "-t", "ed25519", "-p", str(relay.port), "--", relay.host]
    try:
        words = subprocess.run(scan, capture_output=True, text=True).stdout.split()
    except FileNotFoundError:
        raise ColabRemoteError("this machine has no ssh", "install it: sudo apt-get install openssh-client") from None
    if len(words) < 3:
        raise ColabRemoteError(
            f"the relay `{relay.host}:{relay.port}` does not answer with an ed25519 host key",
            "see that its name and port are right and that its sshd runs: "
            f"`ssh-keyscan -t ed25519 -p {relay.port} {relay.host}` must answer",
        )
    shown = fingerprint(base64.b64decode(words[2]))
    if not FINGERPRINT.fullmatch(relay.fingerprint):
        raise Refused(
            f"the relay's host key is not pinned; `{relay.host}` shows {shown}",
            "compare it there with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`; where it is the same, launch "
            f"with --relay {via(relay)}#{shown}",
        )
    if shown != relay.fingerprint:
        raise Refused(
            f"the relay `{relay.host}` shows another host key than the one given\n"
            f"  pinned   {relay.fingerprint}\n  offered  {shown}",
            "do not go on unless you have changed that machine's key yourself",
        )
    write_whole(state / _PINNED, f"relay {words[1]} {words[2]}\n".encode())


def _sentence(said: list[str], relay: Ticket, port: int, state: Path) -> ColabRemoteError:
    words = "\n".join(said)
    place = f"~/.ssh/authorized_keys of {relay.user}@{relay.host}"
    line = f"add this line to {place}, then launch again:\n{authorized_line(state, port)}"
    if _KEY_REFUSED in words:
        return ProviderRefused(f"the relay `{relay.host}` does not know this runtime's key yet", line)
    if _TAKEN in words:
        return ProviderRefused(
            f"the relay `{relay.host}` does not give us its port {port}",
            f"another runtime of this name may hold it: end it, or take another name; or this key may not: {line}",
        )
    last = next((text for text in reversed(said) if not text.startswith("debug1:")), "it did not say why")
    return ColabRemoteError(f"the relay `{relay.host}` cannot be reached: {last}", "see that its sshd runs, then again")
