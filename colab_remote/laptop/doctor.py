"""The way to a host, a step at a time; and what works on this laptop."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version

from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.laptop import client, editors, ssh_config
from colab_remote.laptop.dial import PATIENCE
from colab_remote.laptop.hosts import Host, host_names
from colab_remote.laptop.machine import Machine, ask_machine
from colab_remote.laptop.places import ours
from colab_remote.laptop.proxy import proxy_to
from colab_remote.laptop.reach import Reach, reach, switched_off
from colab_remote.laptop.settings import line_idle

_SKEW = 30.0  # seconds by which two clocks may differ before it confuses somebody
_FULL = 0.95  # of a disk


@dataclass(frozen=True, slots=True)
class Step:
    """What was found at a step, and what to do where all is not well; it `failed` where the way ends there.

    `seconds` is None for what was learnt along with the step before.
    """

    name: str
    found: str
    seconds: float | None = None
    hint: str = ""
    failed: bool = False


def walk(host: Host, timeout: float | None, show: Callable[[Step], None]) -> ColabRemoteError | None:
    """Go the way to `host` as a command does, and `show` each step as it ends; the error that ended it."""
    clock = _Clock(host, show)
    try:
        with _way(host, timeout, clock.begin) as connection:
            clock.begin("agent")
            with closing(connection.open_agent()) as agent:
                clock.begin("python")
                machine = ask_machine(agent, host.ticket.workdir)
                clock.end(f"{machine.python} · torch {machine.torch or 'not installed'}")
    except ColabRemoteError as error:
        clock.fail(error)
        return error
    for step in _described(machine, machine.clock - time.time(), host.ticket.workdir):
        show(step)
    return None


@contextmanager
def _way(host: Host, timeout: float | None, told: Callable[[str], None]) -> Iterator[Reach]:
    """A connection of its own; the line's, where the door takes one and the line may hold it."""
    if host.single:
        told("line")
        with reach(host, timeout) as reached:
            yield reached
        return
    from colab_remote.laptop.login import log_in

    with closing(log_in(host, timeout or PATIENCE, told=told)) as connection:
        yield connection


def look_around() -> Iterator[Step]:
    """What works on this laptop, whether a runtime is there or not."""
    yield Step("python", f"{platform.python_version()} · colab-remote {version('colab-remote')}")
    ssh = client.version()
    yield Step("ssh", ssh or "not installed", hint="" if ssh else f"editors need it: {client.how_to_install()}")
    key = ours() / "id_ed25519"
    yield Step("key", str(key) if key.exists() else "none yet: `cell` and `connect` make it")
    editor = editors.find_editor(None)
    yield Step("editor", editor.title if editor else "none found on PATH")
    yield _proxy()
    yield _line()
    names = host_names()
    included = not names or ssh_config.is_included()
    hint = "" if included else f"make this its first line: {ssh_config.include_line().decode()}"
    yield Step("config", "read by ssh" if names and included else "not included" if names else "no host yet", hint=hint)
    hint = "`colab-remote doctor HOST` goes the way to one" if names else "run the cell that `colab-remote cell` prints"
    yield Step("hosts", ", ".join(names) or "none known", hint=hint)


class _Clock:
    """Times the steps of one way; a step ends where the next begins."""

    def __init__(self, host: Host, show: Callable[[Step], None]) -> None:
        ticket = host.ticket
        self._host, self._show = host, show
        self._name, self._began = "", time.monotonic()
        self._found = {"name": ticket.host, "host key": "as on the ticket", "login": ticket.user}
        self._found |= {"relay": ticket.via} if ticket.via else {}

    def begin(self, name: str) -> None:
        if name == "name":
            proxy = proxy_to(self._host.ticket.host, self._host.ticket.port or 0, self._host.proxy)
            self._found |= {"name": proxy.host, "proxy": f"{proxy}, {proxy.whence}"} if proxy else {}
        if self._name:
            self.end(self._found.get(self._name, "ok"))
        self._name, self._began = name, time.monotonic()

    def end(self, found: str) -> None:
        self._show(Step(self._name, found, time.monotonic() - self._began))
        if self._name == "TCP" and "proxy" not in self._found:
            self._show(Step("proxy", "none"))

    def fail(self, error: ColabRemoteError) -> None:
        self._show(Step(self._name or "way", error.message, time.monotonic() - self._began, error.hint, failed=True))


def _described(machine: Machine, skew: float, workdir: str) -> Iterator[Step]:
    """What the machine said of itself."""
    hint = "" if machine.gpus else "in Colab: Runtime > Change runtime type, then run the cell again"
    yield Step("GPU", machine.kind if machine.gpus else "none", hint=hint)
    hint = "set this laptop's clock by the network" if abs(skew) > _SKEW else ""
    yield Step("clock", f"{skew:+.1f} s from this laptop's", hint=hint)
    free = machine.disk.total - machine.disk.used
    hint = "remove there what is not needed" if machine.disk.used > _FULL * machine.disk.total else ""
    yield Step("disk", f"{free / 1e9:.1f} of {machine.disk.total / 1e9:.1f} GB free · {workdir}", hint=hint)


def _proxy() -> Step:
    try:
        proxy = proxy_to("ngrok.com", 443, "")
    except Refused as error:
        return Step("proxy", error.message, hint=error.hint)
    return Step("proxy", f"{proxy}, {proxy.whence}" if proxy else "none in the environment")


def _line() -> Step:
    if switched_off():
        return Step("line", "switched off by COLAB_REMOTE_LINE")
    try:
        idle = line_idle()
    except Refused as error:
        return Step("line", error.message, hint=error.hint)
    return Step("line", f"stays for {idle / 60:g} min without use" if idle else "switched off")
