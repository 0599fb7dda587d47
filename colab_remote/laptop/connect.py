"""Get to know a runtime, and forget it."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from colab_remote.errors import Refused, Unreachable, WrongRuntime
from colab_remote.laptop import ssh_config
from colab_remote.laptop.hosts import Host, all_hosts, check_name, forget_host, host_names, load_host, save_host
from colab_remote.laptop.line.start import stop_line
from colab_remote.laptop.machine import Machine, ask_machine
from colab_remote.laptop.places import ours
from colab_remote.laptop.proxy import ENVIRONMENT, proxy_to
from colab_remote.ticket import Ticket

_OLD_PATIENCE = 5.0  # seconds for a host that is about to be replaced to show that it is still there


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
    kind, host_key, machine = _meet(host, timeout)
    if not replacing:
        _keep_one_that_answers(host)
    host = replace(host, pinned=time.time(), gpu=machine.kind)
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
    if sys.platform != "win32":
        stop_line(name)
    forget_host(name)
    hosts = all_hosts()
    ssh_config.write_config(hosts)
    ssh_config.unpin(name)
    if not hosts:
        ssh_config.remove_include()
        (ours() / "config").unlink()


def _proxy(name: str, ticket: Ticket, named: str | None) -> str:
    """What is to be kept of the proxy on the way."""
    if named is None and name in host_names():
        named = load_host(name).proxy
    if named and named != ENVIRONMENT:
        return named
    return ENVIRONMENT if proxy_to(ticket.host, ticket.port or 0, "") else ""


def _meet(host: Host, timeout: float | None) -> tuple[str, str, Machine]:
    from colab_remote.laptop.connection import open_connection

    with closing(open_connection(host, timeout)) as connection, closing(connection.open_agent()) as agent:
        return (*connection.host_key(), ask_machine(agent, host.ticket.workdir))


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
    from colab_remote.laptop.connection import open_connection

    try:
        open_connection(host, _OLD_PATIENCE).close()
    except (Unreachable, WrongRuntime):
        return False
    return True
