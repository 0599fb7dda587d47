"""Get to know a runtime, and forget it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path

from colab_remote.errors import ProviderRefused, Refused, Unreachable, WrongRuntime
from colab_remote.laptop import ssh_config
from colab_remote.laptop.dial import dial
from colab_remote.laptop.hosts import Host, all_hosts, forget_host, host_names, load_host, save_host
from colab_remote.laptop.keys import refuse_what_ssh_would
from colab_remote.laptop.line.start import stop_line
from colab_remote.laptop.lock import hold
from colab_remote.laptop.machine import Machine, ask_machine
from colab_remote.laptop.places import make_private, ours
from colab_remote.laptop.proxy import ENVIRONMENT, proxy_to
from colab_remote.laptop.reach import reach
from colab_remote.ticket import Ticket, check_name

_OLD_PATIENCE = 5.0  # seconds for a host that is about to be replaced to show that it is still there
_PAUSE = 0.1


def connect(
    ticket: Ticket,
    name: str,
    key: Path,
    replacing: bool = False,
    timeout: float | None = None,
    proxy: str | None = None,
) -> tuple[Host, Machine]:
    """Know the ticket's runtime as `name` from now on: verified by a connection, then written for ssh too.

    `proxy` is kept with it (see `proxy_to`); where it is None, what was kept before. Nothing is written unless host
    key, login and agent are well. Raises Unreachable, WrongRuntime, and Refused where `name` is another runtime that
    still answers, unless `replacing`.
    """
    host = Host(check_name(name), ticket, key.absolute(), proxy=_proxy(name, ticket, proxy))
    kind, host_key, machine, single = _meet(host, timeout, _freed(host))
    refuse_what_ssh_would(host.key)
    if not replacing:
        _keep_one_that_answers(host)
    host = replace(host, pinned=time.time(), gpu=machine.kind, single=single)
    with _alone():
        others = [other for other in all_hosts() if other.name != name]
        # What may fail for a reason of the user's comes first; ssh passes over an `Include` of nothing.
        ssh_config.add_include()
        ssh_config.pin(name, kind, host_key)
        ssh_config.write_config([*others, host])
        save_host(host)
    return host, machine


def disconnect(name: str) -> None:
    """Forget a host: its line, record, pinned key and block; with the last one our `Include` in the user's config."""
    if name not in host_names():
        load_host(name)
    with _alone():
        forget_host(name)  # first: a command that uses the line would start it again
        hosts = all_hosts()
        ssh_config.write_config(hosts)
        ssh_config.unpin(name)
        if not hosts:
            ssh_config.remove_include()
            (ours() / "config").unlink()
    stop_line(name)


def _alone() -> AbstractContextManager[None]:
    """No other command changes which hosts are known. Raises Refused where one takes too long."""
    return hold(make_private(ours()) / "lock", other="another `connect` or `disconnect`")


def _proxy(name: str, ticket: Ticket, named: str | None) -> str:
    """What is to be kept of the proxy on the way."""
    if named is None and name in host_names():
        named = load_host(name).proxy
    if named and named != ENVIRONMENT:
        return named
    return ENVIRONMENT if proxy_to(ticket.host, ticket.port or 0, "") else ""


def _freed(host: Host) -> bool:
    """End the line that holds the one connection which the host's door takes; whether there may have been one."""
    if host.name not in host_names():
        return False
    old = load_host(host.name)
    if not old.single or old.ticket.address != host.ticket.address:
        return False
    stop_line(host.name)
    return True


def _meet(host: Host, timeout: float | None, freed: bool) -> tuple[str, str, Machine, bool]:
    from colab_remote.laptop.connection import Connection
    from colab_remote.laptop.login import open_connection

    deadline = time.monotonic() + (_OLD_PATIENCE if freed else 0)

    def opened() -> Connection:
        while True:
            try:
                return open_connection(host, timeout)
            except Unreachable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE)  # a door takes a moment to see that it is free

    with closing(opened()) as connection, ThreadPoolExecutor(1) as pool, closing(connection.open_agent()) as agent:
        single = pool.submit(_takes_one, host)
        return (*connection.host_key(), ask_machine(agent, host.ticket.workdir), single.result())


def _takes_one(host: Host) -> bool:
    """Whether the door hangs up on a second connection while one is open."""
    if host.ticket.scheme == "colab" or host.ticket.via:  # Google's own does; a machine of one's own does not
        return not host.ticket.via
    try:
        with closing(dial(host, _OLD_PATIENCE)) as second:
            return not second.recv(1)
    except (TimeoutError, ProviderRefused):
        return False
    except (OSError, Unreachable):
        return True


def _keep_one_that_answers(new: Host) -> None:
    if new.name not in host_names():
        return
    old = load_host(new.name)
    if old.ticket != new.ticket and _answers(old):
        raise Refused(
            f"`{old.name}` is another runtime that still answers ({old.gpu}, at `{old.ticket.host}`)",
            "keep both with `--name NAME`, or forget that one with `--replace`",
        )


def _answers(host: Host) -> bool:
    from colab_remote.laptop.login import open_connection

    try:
        if host.single:  # the line may hold the one connection
            with reach(host, _OLD_PATIENCE) as reached:
                reached.open_agent().close()
        else:
            open_connection(host, _OLD_PATIENCE).close()
    except (Unreachable, WrongRuntime):
        return False
    return True
