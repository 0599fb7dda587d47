"""The hosts that this laptop knows: one small file each."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from colab_remote.both.whole import NewerFormat, read_json, write_json
from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.laptop.places import make_private, ours
from colab_remote.ticket import HOST_NAME, Ticket, check_name, parse_ticket


@dataclass(frozen=True, slots=True)
class Host:
    """A runtime under the name that the laptop gave it.

    `pinned` is when it was connected (seconds since 1970), `gpu` what it was then, empty for none. `proxy` is what is
    kept of a proxy on the way, see `proxy_to`: a URL may hold a password, and this file is its owner's alone.
    `single`: its door takes one connection at a time, which everything shares.
    """

    name: str
    ticket: Ticket
    key: Path
    pinned: float = 0.0
    gpu: str = ""
    proxy: str = field(default="", repr=False)
    single: bool = False


def load_host(name: str) -> Host:
    """The host of that name. Raises Refused, with the names that are known, where there is none."""
    path = _record(check_name(name))
    try:
        kept = read_json(path)
        ticket = parse_ticket(str(kept["ticket"]))
        facts = float(kept.get("pinned", 0)), str(kept.get("gpu", "")), str(kept.get("proxy", ""))
        return Host(name, ticket, Path(kept["key"]), *facts, single=bool(kept.get("single")))
    except FileNotFoundError:
        raise _unknown(name) from None
    except NewerFormat as error:
        raise Refused(str(error), "update colab-remote on this laptop") from None
    except (ValueError, KeyError, TypeError, ColabRemoteError):
        raise ColabRemoteError(
            f"`{path}` is damaged", f"`colab-remote disconnect {name}`, then `connect` the ticket again"
        ) from None


def save_host(host: Host) -> None:
    """Keep `host`; what a later version wrote beside our own keys stays."""
    path = _record(check_name(host.name))
    make_private(path.parent)
    try:
        kept = read_json(path)
    except FileNotFoundError:
        kept = {}
    facts = {"ticket": str(host.ticket), "key": str(host.key), "pinned": host.pinned, "gpu": host.gpu}
    write_json(path, {**kept, **facts, "proxy": host.proxy, "single": host.single})


def forget_host(name: str) -> None:
    """Drop the host's file, if there is one."""
    _record(check_name(name)).unlink(missing_ok=True)


def host_names() -> list[str]:
    """The names that are known, sorted."""
    names = (path.stem for path in (ours() / "hosts").glob("*.json"))
    return sorted(name for name in names if HOST_NAME.fullmatch(name))


def all_hosts() -> list[Host]:
    """Every known host, by name."""
    return [load_host(name) for name in host_names()]


def choose_host(name: str | None, remembered: str | None = None) -> Host:
    """The host named, else the one the project remembers, else the only one there is. Raises Refused."""
    if name is not None:
        return load_host(name)
    names = host_names()
    if remembered in names:
        return load_host(remembered)
    if len(names) == 1:
        return load_host(names[0])
    if not names:
        raise Refused("no host is known here yet", _known_hint())
    raise Refused(
        f"several hosts are known here: {_listed(names)}",
        "say which one: `--host NAME`, or just its name after `ssh`, `status` and `down`",
    )


def proxy_kept(scheme: str, address: str, port: int | None) -> str:
    """What is kept of a proxy with the host that is known at an address; empty where there is none."""
    for name in host_names():
        with suppress(ColabRemoteError):  # another host's damaged record is no matter of this one's
            host = load_host(name)
            if (host.ticket.scheme, host.ticket.host, host.ticket.port) == (scheme, address, port):
                return host.proxy
    return ""


def mark_contact(name: str) -> None:
    """Note that the host answered just now: its file's own time says so."""
    with suppress(FileNotFoundError):  # it was forgotten meanwhile
        os.utime(_record(name))


def last_contact(name: str) -> float:
    """When the host last answered, in seconds since 1970. Raises Refused where it was forgotten meanwhile."""
    try:
        return _record(name).stat().st_mtime
    except FileNotFoundError:
        raise _unknown(name) from None


def tunnel(ticket: Ticket) -> str:
    """The kind of way that a ticket's address is, by the names that providers give theirs."""
    if ticket.scheme == "colab":
        return "colab"
    if ticket.via:
        return "relay"
    if ".ngrok" in f".{ticket.host}":
        return "ngrok" if ticket.scheme == "ssh" else "ngrok-http"
    return "cloudflared" if ticket.host.endswith(".trycloudflare.com") else "direct"


def _record(name: str) -> Path:
    return ours() / "hosts" / f"{name}.json"


def _unknown(name: str) -> Refused:
    return Refused(f"no host is called `{name}`", _known_hint())


def _known_hint() -> str:
    names = host_names()
    if names:
        return f"known here: {_listed(names)}"
    return "run the cell that `colab-remote cell` prints in Colab, then the `connect` line that it shows"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
