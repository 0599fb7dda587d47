"""Whose keys may log in."""

from __future__ import annotations

import base64
import binascii
import re
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from colab_remote.errors import Refused
from colab_remote.runtime.display import one_line
from colab_remote.runtime.secrets import PUBLIC_KEY, look_up

_KINDS = r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-(?:ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
_LINE = re.compile(rf"({_KINDS}) ([A-Za-z0-9+/]+={{0,2}})(?: (.*))?")
_GITHUB = re.compile(r"github:([A-Za-z0-9](?:[A-Za-z0-9-]{0,38}))")
_PATIENCE = 10  # seconds for github.com
_HINT = "`colab-remote cell` on your laptop prints a cell with your public key in it"


def authorized_keys(given: str | Iterable[str] | None) -> tuple[str, ...]:
    """Key lines from the argument, else Colab's secret, else the environment; each a line, a path, `github:USER`.

    Raises Refused where there is none: there is no password to fall back to.
    """
    wanted = [given] if isinstance(given, str) else list(given or ())
    advice = _HINT
    if not wanted:
        found = look_up(PUBLIC_KEY)
        wanted = [found.value] if found.value else []
        advice = f"{_HINT}; or {found.advice}: it holds the line in your `.pub` file, or `github:USER`"
    lines = tuple(dict.fromkeys(line for one in wanted for line in _lines_of(one)))
    if not lines:
        raise Refused("no public key says who may log in, and there are no passwords here", advice)
    return lines


def _lines_of(one: str) -> list[str]:
    one = one.strip()
    github = _GITHUB.fullmatch(one)
    if github:
        return _key_lines(_from_github(github[1]), f"the keys of {one}")
    if _LINE.match(one) or "PRIVATE KEY" in one:
        return _key_lines(one, "what was given for a public key")
    try:
        path = Path(one).expanduser()
        return _key_lines(path.read_text("utf-8"), f"`{path}`")
    except (OSError, ValueError, RuntimeError):
        raise Refused(
            f"`{one_line(one, 80)}` is no public key, no file that can be read, and no `github:USER`", _HINT
        ) from None


def _key_lines(text: str, source: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in lines:
        _check(line, source)
    return lines


def _check(line: str, source: str) -> None:
    # A line with options in front is refused: what they allow or run is not ours to judge.
    found = _LINE.fullmatch(line)
    if not found or not line.isprintable():
        private = "PRIVATE KEY" in line
        raise Refused(
            f"{source} holds {'a private key' if private else 'a line that is no public key'}",
            "give the file that ends in `.pub`" if private else _HINT,
        )
    try:
        blob = base64.b64decode(found[2], validate=True)
    except binascii.Error:
        blob = b""
    length = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + length] != found[1].encode() or not _is_whole(blob):
        raise Refused(f"{source} is cut off or damaged", "copy the whole line again")


def _is_whole(blob: bytes) -> bool:
    """Whether the last string of a key's wire form (RFC 4251, 5) is all there."""
    at = 0
    while at < len(blob):
        at += 4 + int.from_bytes(blob[at : at + 4], "big")
    return at == len(blob)


def _from_github(user: str) -> str:
    try:
        with urllib.request.urlopen(f"https://github.com/{user}.keys", timeout=_PATIENCE) as answer:
            text: str = answer.read(1 << 16).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        error.close()
        raise Refused(f"github.com answers {error.code} for the keys of `{user}`", "check the name") from None
    except OSError as error:
        raise Refused(f"github.com cannot be asked for the keys of `{user}`: {error}", _HINT) from None
    if not text.strip():
        raise Refused(f"`{user}` has no public key on GitHub", _HINT)
    return text
