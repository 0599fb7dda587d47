"""A ticket: one line that says how to reach a runtime and how to know it is the right one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from colab_remote.errors import Refused

HOST_NAME = re.compile(r"(?![.-])[A-Za-z0-9._-]{1,64}")
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,31}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")
_VIA = re.compile(rf"({USER.pattern})@({_HOST.pattern})(:\d{{1,5}})?")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HINT = 'copy the whole line from the cell\'s output, in double quotes: colab-remote connect "ssh://..."'


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where a runtime is and which ed25519 host key (`SHA256:...`) it must show.

    `scheme` is one of ssh, wss, ws, colab. For `colab`, `host` is the session's name and `user` is root.
    `port` is None where the scheme has none. `via` is `user@host[:port]` of a machine to jump through.
    """

    scheme: str
    user: str
    host: str
    port: int | None
    workdir: str
    fingerprint: str
    via: str | None = None

    @property
    def address(self) -> str:
        """What `colab-remote proxy` takes: `wss://HOST`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}" if self.port else f"{self.scheme}://{host}"

    def __str__(self) -> str:
        path = quote(self.workdir, safe="/")
        if self.scheme == "colab":
            return f"colab:{self.host}{path}#{self.fingerprint}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port is not None else ""
        via = f"?via={self.via}" if self.via else ""
        return f"{self.scheme}://{self.user}@{host}{port}{path}{via}#{self.fingerprint}"


def parse_ticket(text: str) -> Ticket:
    """The ticket that `text` holds. Raises Refused with what is wrong about it.

    Nothing in it can be read as an option, a second line or a command later: user, host and path are
    checked here, once, against what such names may hold.
    """
    text = text.strip().strip('"')
    if not text.isprintable():
        raise Refused("the ticket holds a control character", _HINT)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise Refused(f"this is no ticket: {error}", _HINT) from None
    if parts.scheme not in ("ssh", "wss", "ws", "colab"):
        raise Refused("a ticket begins with `ssh://`, `wss://` or `colab:`", _HINT)
    ticket = (
        _colab_ticket(parts.path, parts.fragment)
        if parts.scheme == "colab"
        else Ticket(
            scheme=parts.scheme,
            user=parts.username or "",
            host=parts.hostname or "",
            port=port,
            workdir=unquote(parts.path, errors="surrogateescape") or "/",
            fingerprint=parts.fragment,
            via=_via(parts.query),
        )
    )
    _check(ticket)
    return ticket


def check_name(name: str) -> str:
    """`name`, where it can be the one under which a laptop knows a runtime. Raises Refused."""
    if not HOST_NAME.fullmatch(name):
        raise Refused(
            f"`{name}` cannot be a host's name",
            "use up to 64 letters of A-Z, digits, `.`, `_` and `-`, beginning with a letter, a digit or `_`",
        )
    return name


def fingerprint(key_blob: bytes) -> str:
    """`SHA256:...` of a public key's wire form, as `ssh-keygen -l` prints it."""
    import base64
    import hashlib  # brings OpenSSL with it: commands on a warm line make no fingerprint, and would wait for it

    return "SHA256:" + base64.b64encode(hashlib.sha256(key_blob).digest()).decode().rstrip("=")


def _colab_ticket(path: str, fragment: str) -> Ticket:
    session, slash, rest = path.partition("/")
    return Ticket("colab", "root", session, None, unquote(slash + rest) or "/content", fragment)


def _via(query: str) -> str | None:
    values = dict(parse_qsl(query, keep_blank_values=True, separator="&"))
    if not set(values) <= {"via"}:
        raise Refused(f"the ticket's `?{query}` says something this version does not know", _HINT)
    return values.get("via")


def _check(ticket: Ticket) -> None:
    if not FINGERPRINT.fullmatch(ticket.fingerprint):
        raise Refused("the ticket's fingerprint (`#SHA256:` and 43 characters) is missing or cut off", _HINT)
    if not USER.fullmatch(ticket.user):
        raise Refused("the ticket's user (before `@`) is missing or no user name", _HINT)
    if not _HOST.fullmatch(ticket.host):
        raise Refused("the ticket's host is missing or no host name", _HINT)
    if ticket.port == 0 or (ticket.scheme == "ssh" and ticket.port is None):
        raise Refused("the ticket's port is missing or 0", _HINT)
    if ticket.scheme == "ws" and ticket.host not in LOOPBACK:
        raise Refused("`ws://` is for this machine only; a runtime elsewhere has `wss://`", _HINT)
    if not ticket.workdir.startswith("/") or not ticket.workdir.isprintable():
        raise Refused("the ticket's path is no absolute folder name", _HINT)
    if ticket.via is not None and not _VIA.fullmatch(ticket.via):
        raise Refused("the ticket's `via` is no USER@HOST[:PORT]", _HINT)
