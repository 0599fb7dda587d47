"""A company's HTTP proxy on the way to a runtime: which one, and how it is asked to lead on."""

from __future__ import annotations

import base64
import os
import re
import socket
import sys
import time
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from colab_remote.errors import GONE, Refused, Unreachable
from colab_remote.ticket import LOOPBACK

# What a host may keep in place of a proxy's URL; where it keeps nothing, the environment is asked each time.
NONE = "none"  # the straight way, whatever the environment says
ENVIRONMENT = "environment"  # it was reached by the environment's, which ssh has to be told of
_ANOTHER = "`connect` its ticket again with `--proxy http://HOST:PORT` for another, or `--proxy none` for none"
_LONGEST = 1 << 16  # bytes of an answer's head


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. `login` is `NAME:PASSWORD` or empty; `whence` says who named it."""

    host: str
    port: int
    login: str = field(repr=False)
    whence: str

    def __str__(self) -> str:
        return f"http://{_address(self.host, self.port)}"


def proxy_to(host: str, port: int, kept: str) -> Proxy | None:
    """The proxy on the way to an address: what is `kept` with the host, else the environment's; None for none.

    The environment is HTTPS_PROXY, else ALL_PROXY, without what NO_PROXY names and this machine itself; on Windows
    and macOS the system's settings, where the variables are missing. Raises Refused for what is no HTTP proxy.
    """
    if kept == NONE:
        return None
    if kept and kept != ENVIRONMENT:
        return parse_proxy(kept, "kept with the host")
    url = _of_environment(host, port)
    return parse_proxy(url, "of the environment") if url else None


def parse_proxy(url: str, whence: str = "named") -> Proxy:
    """The proxy that a URL names. Raises Refused, in words that do not repeat its password."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError:
        raise _no_proxy("what is named as the proxy") from None
    if parts.scheme != "http" or not re.fullmatch(r"[A-Za-z0-9._:-]+", parts.hostname or ""):
        raise _no_proxy(f"`{parts.scheme}://{parts.hostname or ''}`")
    login = ":".join(unquote(word) for word in (parts.username, parts.password) if word is not None)
    return Proxy(parts.hostname or "", port or 80, login, whence)


def with_password(url: str, password: str) -> str:
    """`url`, which holds a name, with the password for it."""
    name, _, address = url.rpartition("@")
    return f"{name}:{quote(password, safe='')}@{address}"


def lead_on(stream: socket.socket, proxy: Proxy, host: str, port: int, timeout: float) -> None:
    """Have the proxy behind `stream` join it with an address: CONNECT, RFC 9110, section 9.3.6. Raises Unreachable."""
    target = _address(host, port)
    words = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.login:
        words.append(f"Proxy-Authorization: Basic {base64.b64encode(proxy.login.encode()).decode()}")
    try:
        stream.sendall("\r\n".join([*words, "", ""]).encode("ascii"))
        head = _head(stream, time.monotonic() + timeout)
    except TimeoutError:
        raise Unreachable(f"the proxy {proxy} did not answer within {timeout:g} s", _ANOTHER) from None
    except OSError:
        head = ""
    found = re.match(r"HTTP/1\.[01] ([0-9]{3})", head)
    if not found:
        raise Unreachable(f"what answers at {proxy} does not speak as a proxy does, or hung up", _ANOTHER)
    if not found[1].startswith("2"):
        raise _refusal(int(found[1]), head, proxy, host, port)


def unreachable_hint(proxy: Proxy) -> str:
    """What to do where the proxy itself cannot be reached."""
    return f"it is the proxy {proxy.whence}; {_ANOTHER}"


def _of_environment(host: str, port: int) -> str:
    known = {name.lower() for name in os.environ}
    if host in LOOPBACK or (sys.platform == "linux" and not known & {"https_proxy", "all_proxy"}):
        return ""
    from urllib.request import getproxies, proxy_bypass  # imports the half of HTTP

    proxies = getproxies()
    return "" if proxy_bypass(_address(host, port)) else proxies.get("https") or proxies.get("all", "")


def _head(stream: socket.socket, deadline: float) -> str:
    """The answer up to its empty line, and not a byte of what follows: that is the runtime's."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < _LONGEST:
        stream.settimeout(max(0.001, deadline - time.monotonic()))
        byte = stream.recv(1)
        if not byte:
            break
        head += byte
    return head.decode("latin-1")


def _refusal(code: int, head: str, proxy: Proxy, host: str, port: int) -> Unreachable:
    target = _address(host, port)
    if code in (401, 407):  # tinyproxy says 401 to a wrong password
        return _login_wanted(code, head, proxy)
    if code >= 500:
        return Unreachable(f"the proxy {proxy} does not reach `{target}` ({code})", GONE)
    if port == 443:
        hint = f"ask who runs it to let `{host}` through, or use another network"
    else:
        hint = "many lead to port 443 only: launch with the tunnel `ngrok-http`, whose address has that port"
    return Unreachable(f"the proxy {proxy} does not let this laptop through to `{target}` ({code})", hint)


def _login_wanted(code: int, head: str, proxy: Proxy) -> Unreachable:
    kinds = re.findall(r"^proxy-authenticate: *([A-Za-z]+)", head, re.IGNORECASE | re.MULTILINE)
    if kinds and "basic" not in map(str.lower, kinds):
        return Unreachable(
            f"the proxy {proxy} wants a login by {' or '.join(kinds)} ({code}), which colab-remote does not speak",
            "a local proxy such as `px` or `cntlm` speaks it: run one and name it, `--proxy http://localhost:PORT`",
        )
    if proxy.login:
        return Unreachable(
            f"the proxy {proxy} does not take the name and password it was given ({code})",
            f"they are {proxy.whence}; `connect` with `--proxy http://NAME@{proxy.host}:{proxy.port}` asks again",
        )
    return Unreachable(
        f"the proxy {proxy} wants a name and a password ({code})",
        f"`connect` with `--proxy http://NAME@{proxy.host}:{proxy.port}` asks for the password and keeps it",
    )


def _no_proxy(what: str) -> Refused:
    return Refused(f"{what} is no HTTP proxy", "name one as http://HOST:PORT, or `--proxy none` for the straight way")


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
