"""RUNS IN COLAB. `launch()` is its story: keys, sshd, tunnel, ticket, card."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from colab_remote.both.whole import write_json
from colab_remote.errors import ColabRemoteError, Refused, kind_of
from colab_remote.runtime.record import LOCK, alone, end, present, refuse_within
from colab_remote.runtime.supervisor import LOG, Orders
from colab_remote.runtime.tunnels import RELAY_FILE, free_port
from colab_remote.runtime.wanted import Wanted, want
from colab_remote.ticket import Ticket, parse_ticket

DEFAULT_STATE = "~/.colab-remote"
WORKDIR = "/content"
NAME = "colab"


@dataclass(frozen=True, slots=True, repr=False)
class Runtime:
    """A machine that can be reached, and what runs here for it.

    `pid` is the supervisor's, `fresh` whether this launch started anything, `said` are lines about what it did.
    """

    state: Path
    record: dict[str, Any]
    fresh: bool = True
    said: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Runtime {self.ticket}>"

    @property
    def ticket(self) -> str:
        """How to reach it, now: a tunnel may have come back under another address."""
        record = self.now() or self.record
        address, user = record["address"], record["user"]
        where = (address["scheme"], user, address["host"], address["port"], record["workdir"], record["fingerprint"])
        return str(Ticket(*where, address.get("via")))

    def now(self) -> dict[str, Any] | None:
        """What runs here now, None once it was shut down."""
        return present(self.state)

    @property
    def name(self) -> str:
        """The host's name on the laptop."""
        return str(self.record["name"])

    @property
    def tunnel(self) -> str:
        """The tunnel that it was launched with."""
        return str(self.record["tunnel"])

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return int(self.record["pid"])

    @property
    def host(self) -> str:
        """The host name that the laptop dials."""
        return parse_ticket(self.ticket).host

    @property
    def port(self) -> int | None:
        """The port that the laptop dials, None where the ticket's scheme has one."""
        return parse_ticket(self.ticket).port

    @property
    def ssh_config(self) -> str:
        """A block for an SSH configuration written by hand; `connect` writes a better one, with the key pinned."""
        ticket = parse_ticket(self.ticket)
        port = {"Port": ticket.port} if ticket.port else {}
        proxied = {"ProxyCommand": f"colab-remote proxy {ticket.address}"} if ticket.scheme != "ssh" else {}
        jump = {"ProxyJump": ticket.via} if ticket.via else {}
        lines = {"HostName": ticket.host, **port, "User": ticket.user, **proxied, **jump}
        return "\n  ".join((f"Host {self.name}", *(f"{name} {value}" for name, value in lines.items()))) + "\n"

    @property
    def vscode_url(self) -> str:
        """A link that opens VS Code on the working directory, once the laptop has connected."""
        return editor_url("vscode", self.name, self.ticket)

    def stop(self) -> None:
        """Stop sshd and the tunnel; jobs go on."""
        shutdown(self.state)


def launch(
    tunnel: str = "auto",
    *,
    name: str = NAME,
    authtoken: str | None = None,
    authorized_keys: str | Iterable[str] | None = None,
    workdir: str = WORKDIR,
    region: str | None = None,
    relay: str = "",
    env: Iterable[str] = (),
    wait: bool = False,
    restart: bool = False,
) -> Runtime:
    """Make this machine a runtime and show how to connect to it.

    Keys and token come from the arguments, else Colab's secrets `SSH_PUBLIC_KEY` and `NGROK_AUTHTOKEN`, else the
    environment. `env` names secrets or variables that jobs may see. `relay` is the machine of your own that a tunnel of
    that name goes through, `USER@HOST[:PORT]#SHA256:...`. `wait` keeps the cell running, with a line about how things
    stand, until it is interrupted, which ends nothing else. Raises ColabRemoteError.
    """
    from colab_remote.runtime.card import html, plain, rule
    from colab_remote.runtime.display import say, show
    from colab_remote.runtime.watch import watch

    if rule():
        say(rule())
    wanted = want(
        tunnel=tunnel,
        name=name,
        token=authtoken,
        keys=authorized_keys,
        workdir=workdir,
        state=DEFAULT_STATE,
        region=region,
        relay=relay,
        env=env,
    )
    runtime = start(wanted, restart)
    for line in runtime.said:
        say(line)
    show(plain(runtime), html(runtime))
    if wait:
        watch(runtime)
    return runtime


def editor_url(scheme: str, name: str, ticket: str) -> str:
    """A link that opens an editor of VS Code's family in the working directory of the host `name`."""
    return f"{scheme}://vscode-remote/ssh-remote+{quote(name)}{quote(parse_ticket(ticket).workdir)}"


def start(wanted: Wanted, restart: bool = False) -> Runtime:
    """Bring the runtime up as wanted, or find it so: then nothing is restarted. Raises ColabRemoteError."""
    for folder in (wanted.state, wanted.workdir):
        _make(folder)
    _make_private(wanted.state)
    with alone(wanted.state) as lock:
        record = present(wanted.state)
        if record and record["wanted"] == wanted.digest() and not restart:
            trouble = record.get("trouble")
            return Runtime(wanted.state, record, fresh=False, said=(trouble,) if trouble else ())
        refuse_within(wanted.state)
        orders, said = _prepared(wanted, lock)
        if end(wanted.state):
            said = ("replacing what an earlier launch started", *said)
        return Runtime(wanted.state, _spawn(orders, wanted.job_environment), said=said)


def shutdown(state: Path) -> bool:
    """Stop what `launch` started under `state`, and nothing else; whether there was anything."""
    if not (state / LOCK).exists():
        return False
    with alone(state):
        return end(state)


def _prepared(wanted: Wanted, lock: int) -> tuple[Orders, tuple[str, ...]]:
    """What to tell the supervisor, and the user. What is refused is refused here, while what runs goes on."""
    from colab_remote.runtime.environment import login_hooks
    from colab_remote.runtime.secrets import HOST_KEY, RELAY_KEY, secret
    from colab_remote.runtime.sshd import Sshd, find_sshd, host_key, keep_key, login_name, write_config

    address, port = wanted.bind
    user, free, program = login_name(), free_port(address), find_sshd()
    hooks = login_hooks(wanted.state, wanted.environment)
    environment = {**wanted.environment, **hooks, "COLAB_REMOTE_STATE": str(wanted.state)}
    fingerprint = host_key(wanted.state, secret(HOST_KEY))
    if wanted.tunnel == "relay":
        keep_key(wanted.state / RELAY_FILE, RELAY_KEY, secret(RELAY_KEY))
    sshd = Sshd(program, wanted.state, user, address, port or free, environment)
    left_out = ", ".join(write_config(sshd, wanted.keys))
    said = (f"left out of sessions' environment, because sshd cannot carry them: {left_out}",) if left_out else ()
    write_json(
        wanted.state / "environment.json",
        {"environment": wanted.environment, "job_environment": wanted.job_environment},
    )
    facts = {
        "wanted": wanted.digest(),
        "name": wanted.name,
        "user": user,
        "workdir": str(wanted.workdir),
        "fingerprint": fingerprint,
        "tunnel": wanted.tunnel,
        "since": time.time(),
    }
    orders = Orders(
        state=str(wanted.state),
        sshd=sshd.argv,
        bind_host=address,
        port=sshd.port,
        tunnel=wanted.tunnel,
        region=wanted.region,
        relay=wanted.relay,
        facts=facts,
        token=wanted.token,
        lock=lock,
    )
    return orders, said


def _spawn(orders: Orders, for_jobs: Iterable[str]) -> dict[str, Any]:
    """Start the supervisor in a session of its own and wait for its answer; it sees no variable `for_jobs`."""
    from colab_remote.runtime.environment import without_secrets

    state = Path(orders.state)
    handle = os.open(state / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open(handle, "ab") as log:
        child = subprocess.Popen(
            # This package imports the module's names, which runpy would warn of in the log.
            [sys.executable, "-W", "ignore::RuntimeWarning:runpy", "-m", "colab_remote.runtime.supervisor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd="/",
            env=without_secrets(os.environ, for_jobs),
            start_new_session=True,
            pass_fds=(orders.lock,),
        )
    try:
        assert child.stdin
        assert child.stdout
        # The token goes through a pipe: argv and environment can be read by others.
        with child.stdin, child.stdout:
            child.stdin.write(json.dumps(asdict(orders)).encode() + b"\n")
            child.stdin.close()
            line = child.stdout.readline()
    except BaseException:
        child.terminate()
        child.wait()
        raise
    answer = json.loads(line or b"{}")
    if "record" in answer:
        record: dict[str, Any] = answer["record"]
        return record
    child.wait()
    error = answer.get("error")
    if error:
        raise kind_of(error["code"])(error["message"], error["hint"])
    raise ColabRemoteError("the supervisor ended before it said anything", f"`{state / LOG}` may say why")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"`{folder}` cannot be made: {error.strerror}", "name another folder") from None


def _make_private(state: Path) -> None:
    """Close the state folder to others. Raises Refused for one that is used for something else."""
    facts = state.stat()
    others = sys.platform != "win32" and facts.st_uid != os.geteuid()
    # By its name the agent may have kept jobs there before any launch.
    used = state.name != Path(DEFAULT_STATE).name and not (state / LOCK).exists() and any(state.iterdir())
    if others or facts.st_mode & 0o002 or state.resolve() in (Path("/"), Path.home()) or used:
        raise Refused(f"`{state}` cannot be the state folder: it is not for this alone", "name a folder of its own")
    state.chmod(0o700)
