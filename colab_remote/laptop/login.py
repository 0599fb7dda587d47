"""The way in to a host: its address dialled, its host key compared, this laptop's key shown."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from typing import TYPE_CHECKING, cast

from colab_remote.errors import GONE, Unreachable, WrongRuntime
from colab_remote.laptop.connection import Connection, Counted, words
from colab_remote.laptop.dial import PATIENCE, Told, dial
from colab_remote.laptop.hosts import Host
from colab_remote.laptop.keys import ask_passphrase, load_key
from colab_remote.laptop.proxy import proxy_to
from colab_remote.ticket import fingerprint

if TYPE_CHECKING:
    import socket

    import paramiko

    from colab_remote.laptop.transport import Transport

_VERSION = "SSH-2.0-colab_remote"  # RFC 4253, 4.2: a hyphen may not be in the name
_WINDOW = 2 << 20  # bytes, as OpenSSH's
_CIPHERS = ("aes256-gcm@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr")
_REKEY = 1 << 35  # bytes under one AES-GCM key, well below its limit; the default stalls every 512 MB
_PROBE = 15.0  # seconds between two questions whether the far end is there
_PROBE_PATIENCE = 60.0  # seconds for an answer, which may wait behind a window full of data on a slow line
_LOOK_UP = 5.0  # seconds between two looks of an idle connection whether it was closed; a tenth costs CPU
_ONLY_HTTPS = f"the proxy on the way may let HTTPS alone through: launch with the tunnel `ngrok-http`; or {GONE}"


def open_connection(host: Host, timeout: float | None = None) -> Connection:
    """A connection to `host`, its host key compared with the ticket's, ready within `timeout` seconds.

    Raises Unreachable; WrongRuntime for another host key; Refused for a key of ours that cannot be used.
    """
    passphrase = ask_passphrase(host.key)
    connection = log_in(host, timeout or PATIENCE, passphrase=passphrase)
    threading.Thread(target=_watch, args=(connection,), daemon=True).start()
    return connection


def log_in(
    host: Host, timeout: float, window: int = _WINDOW, told: Told = lambda step: None, passphrase: str = ""
) -> Connection:
    """A connection that nobody probes yet; `window` is what each of its channels takes in advance, in bytes.

    `passphrase` opens the host's key, where ssh-agent does not hold it.
    """
    deadline = time.monotonic() + timeout
    stream = Counted(dial(host, timeout, told), told)
    told("SSH banner")
    stream.greet(_VERSION)
    _import_paramiko()  # while sshd answers that: to import it takes about as long
    logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)  # what it has to say comes as exceptions
    try:
        key = load_key(host.key, passphrase)
    except BaseException:
        stream.close()
        raise
    from colab_remote.laptop.transport import Transport

    transport = Transport(cast("socket.socket", stream), default_window_size=window)
    transport.local_version = _VERSION
    try:
        _negotiate(transport, host, deadline)
        told("login")
        _log_in(transport, host, key)
    except BaseException:
        transport.close()
        raise
    stream.settimeout(_LOOK_UP)
    return Connection(transport, stream, host, timeout)


def _import_paramiko() -> None:
    """Import paramiko without invoke, for which it would read asyncio and unittest, twice as long and never used by us.

    It wants invoke for `Match exec` in a config of ssh's, and does without where there is none.
    """
    wanted = sys.modules.get("invoke")
    sys.modules["invoke"] = wanted  # type: ignore[assignment]  # None: cannot be imported
    try:
        import paramiko  # noqa: F401
    finally:
        if wanted is None:
            sys.modules.pop("invoke", None)


def _watch(connection: Connection) -> None:
    """Close a connection whose far end has gone without a word: reads on it end, where they would wait for ever."""
    while connection.alive:
        time.sleep(_PROBE)
        connection.probe(_PROBE_PATIENCE)


def _negotiate(transport: Transport, host: Host, deadline: float) -> None:
    import paramiko
    from paramiko.ssh_exception import IncompatiblePeer

    options = transport.get_security_options()
    options.ciphers = _CIPHERS
    options.key_types = ("ssh-ed25519",)  # the kind that a ticket pins
    transport.packetizer.REKEY_BYTES = _REKEY
    transport.banner_timeout = transport.auth_timeout = max(1.0, deadline - time.monotonic())
    where = f"{host.ticket.host}:{host.ticket.port}" if host.ticket.port else host.ticket.host
    try:
        transport.start_client(timeout=transport.banner_timeout)
        offered = transport.get_remote_server_key()  # raises where time ran out before there was one
    except IncompatiblePeer as error:
        raise Unreachable(
            f"the sshd at `{where}` has no way in common with this laptop: {words(error)}", GONE
        ) from None
    except (paramiko.SSHException, EOFError, OSError):
        hint = _ONLY_HTTPS if proxy_to(host.ticket.host, host.ticket.port or 0, host.proxy) else GONE
        raise Unreachable(f"what answers at `{where}` does not speak SSH, or hung up", hint) from None
    _check_key(fingerprint(offered.asbytes()), host)


def _check_key(offered: str, host: Host) -> None:
    if offered == host.ticket.fingerprint:
        return
    pinned = f"the one pinned on {_day(host.pinned)}" if host.pinned else "the ticket's"
    raise WrongRuntime(
        f"`{host.name}` answers with another host key than {pinned}\n"
        f"  pinned   {host.ticket.fingerprint}\n"
        f"  offered  {offered}",
        "a new VM has a new key: run the cell's `connect` line again. If you did not start one, do not connect.",
    )


def _log_in(transport: Transport, host: Host, key: paramiko.PKey) -> None:
    import paramiko

    from colab_remote.laptop.eager import authenticate

    try:
        authenticate(transport, host.ticket.user, key)
    except paramiko.AuthenticationException as error:
        if re.search("timeout|shut down", str(error)):  # paramiko tells of these as of a key that is refused
            raise _hung_up(host, error) from None
        raise Unreachable(
            f"`{host.name}` is there, but does not let this laptop's key in as `{host.ticket.user}`",
            "run the cell that `colab-remote cell` prints here: it holds this laptop's public key",
        ) from None
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise _hung_up(host, error) from None


def _hung_up(host: Host, error: Exception) -> Unreachable:
    return Unreachable(f"`{host.name}` hung up during the login: {words(error)}", GONE)


def _day(moment: float) -> str:
    return time.strftime("%d %B", time.localtime(moment)).lstrip("0")
