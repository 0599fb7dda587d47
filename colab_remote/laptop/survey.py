"""How all known hosts are, asked at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from colab_remote.errors import ColabRemoteError, Unreachable, WrongRuntime
from colab_remote.laptop.hosts import Host, last_contact
from colab_remote.laptop.line.state import LineState, ask_line
from colab_remote.laptop.machine import Machine, ask_machine
from colab_remote.laptop.reach import reach

PATIENCE = 5.0  # seconds; a list must not wait for the dead


@dataclass(frozen=True, slots=True)
class Sight:
    """A host: whether it answers, then what it is and how its line is; and when it last answered.

    `why` says what else is the matter.
    """

    host: Host
    state: Literal["up", "gone", "another runtime", "trouble"]
    machine: Machine | None
    contact: float
    line: LineState | None = None
    why: str = ""


def survey(hosts: Sequence[Host], timeout: float | None = None) -> list[Sight]:
    """Look at each of `hosts`, within `timeout` seconds for each way there."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(lambda host: _look(host, timeout or PATIENCE), hosts))


def _look(host: Host, timeout: float) -> Sight:
    try:
        with reach(host, timeout) as connection, closing(connection.open_agent()) as agent:
            machine = ask_machine(agent, host.ticket.workdir)
            return Sight(host, "up", machine, last_contact(host.name), ask_line(host.name))
    except Unreachable:
        return Sight(host, "gone", None, last_contact(host.name))
    except WrongRuntime as error:
        return Sight(host, "another runtime", None, last_contact(host.name), why=error.message)
    except ColabRemoteError as error:
        return Sight(host, "trouble", None, last_contact(host.name), why=error.message)
