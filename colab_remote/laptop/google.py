"""Google's own command line for Colab, `colab` (google-colab-cli): its sessions, and its one SSH connection to each."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from colab_remote.errors import ColabRemoteError, ProviderRefused, Refused, Unreachable, kind_of
from colab_remote.laptop.cell import launch_code
from colab_remote.laptop.program import dial_program
from colab_remote.ticket import Ticket

GPUS = ("T4", "L4", "A100", "H100")
_PATIENCE = 120.0  # seconds for an answer of Google's; a runtime may take that long to be made
_LAUNCHING = 600  # seconds for what runs there: it may install sshd
_STORE = Path("~/.config/colab-cli/sessions.json")  # where the program keeps its sessions
_SESSION = re.compile(r"^\[(.+?)\] \S+ \| Hardware: (\S+)", re.MULTILINE)
_BALANCE = re.compile(r"balance: ([\d.]+).*\n.*rate: ([\d.]+)/hr\n.*assignments: (\d+)", re.IGNORECASE)
_TAKEN_BACK = "Google has taken the session `{0}` back"
_UP = "`colab-remote up --name {0}` asks for a new one"


class _Expired(Unreachable):
    """The token that the program keeps for a session is not taken any more; the session may still be there."""


# What the program says (a pattern), and what that means for the session `{0}`.
_MEANINGS: tuple[tuple[str, type[ColabRemoteError], str, str], ...] = (
    (
        "authorize colab-cli",
        Refused,
        "Google's `colab` is not logged in",
        "run `colab sessions` in a terminal, and follow the link that it shows",
    ),
    (
        "Unauthorized|invalid_grant",
        Refused,
        "Google does not take the login of its `colab` any more (401)",
        "remove ~/.config/colab-cli/token.json, then `colab sessions` in a terminal logs in again",
    ),
    (
        "rejected accelerator",
        ProviderRefused,
        "this Google account may not have that GPU (400)",
        "another one may do: --gpu T4; `colab usage` shows what the account has left",
    ),
    (
        "Allocation refused",
        ProviderRefused,
        "Google has no runtime for this account now: too many sessions, or a limit (412)",
        "`colab sessions` lists them, `colab-remote down` ends one; else wait, or ask for another GPU",
    ),
    (
        "HTTP 401",
        _Expired,
        "Google's door does not take the token for the session `{0}` (401)",
        "`colab sessions` renews it",
    ),
    (
        "unsupported key type",
        Refused,
        "Google's door takes ed25519 and ECDSA keys only (400)",
        "connect with the key that colab-remote made: leave `-i` out",
    ),
    ("HTTP 400", ProviderRefused, "Google's door does not take this laptop's key (400)", "leave `-i` out"),
    (
        "HTTP 404",
        ProviderRefused,
        "the session `{0}` was made without SSH (404)",
        "`colab stop -s {0}` ends it; " + _UP,
    ),
    (
        "HTTP 429",
        Unreachable,
        "somebody else is connected to the session `{0}`, which lets in one (429)",
        "it may be `colab ssh`, or another laptop: end that one",
    ),
    ("HTTP 502", Unreachable, "the sshd of the session `{0}` does not answer (502)", "wait a moment, then try again"),
    ("not found", Unreachable, _TAKEN_BACK, _UP),
)


@dataclass(frozen=True, slots=True)
class Units:
    """An account's compute units: the `balance`, and what all its `sessions` take in an hour."""

    balance: float
    hourly: float
    sessions: int


def sessions() -> dict[str, str]:
    """The GPU of each session that lives, `CPU` for none, by the name that this laptop gave it. Raises Refused."""
    return {name: gpu for name, gpu in _SESSION.findall(_said("", "sessions")) if name != "?"}


def new_session(name: str, gpu: str | None, high_mem: bool) -> None:
    """Have a session of that name, which may cost compute units. Raises ProviderRefused, Refused."""
    wanted = [*(["--gpu", gpu] if gpu else []), *(["--high-mem"] if high_mem else [])]
    _said(name, "new", "-s", name, *wanted)


def launch_there(name: str, key: str) -> Ticket:
    """The session's ticket, after `launch` for the public key line `key` there.

    Its host key is read through Google's own channel, which the account's login protects. Raises ColabRemoteError.
    """
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder, "launch.py")
        code.write_text(launch_code(key, name), "utf-8")
        said = _said(name, "exec", "-s", name, "-f", str(code), "--timeout", str(_LAUNCHING), patience=2 * _LAUNCHING)
    found = next((line for line in said.splitlines() if line.startswith('{"schema":')), None)
    if found is None:
        raise ColabRemoteError(f"`launch` did not run on the session `{name}`: {_last(said)}", "run this again")
    answer = json.loads(found)
    if "error" in answer:
        error = answer["error"]
        raise kind_of(error["code"])(error["message"], error["hint"])
    return Ticket("colab", "root", name, None, answer["workdir"], answer["fingerprint"])


def stop_session(name: str) -> None:
    """End the session. Raises Refused."""
    _said(name, "stop", "-s", name)


def units() -> Units | None:
    """What the account has, None where the program does not tell."""
    try:
        found = _BALANCE.search(_said("", "usage"))
    except ColabRemoteError:
        return None
    return Units(float(found[1]), float(found[2]), int(found[3])) if found else None


def dial_session(name: str, key: Path, timeout: float) -> socket.socket:
    """The one stream to the session's sshd. Raises Unreachable, ProviderRefused, Refused."""
    try:
        return _dialled(name, key, timeout)
    except _Expired:
        if name not in sessions():  # which renews the tokens of those that live
            raise Unreachable(_TAKEN_BACK.format(name), _UP.format(name)) from None
        return _dialled(name, key, timeout)


def _dialled(name: str, key: Path, timeout: float) -> socket.socket:
    with tempfile.TemporaryDirectory() as folder:
        # Of the user's sessions the program sees a copy with this one alone: it makes a new session, which may cost,
        # where it knows none of that name, and forgets one where Google's answer is not clear.
        copy = Path(folder, "sessions.json")
        copy.write_text(json.dumps({name: _stored(name)}), "utf-8")
        words = [*_program(), "--config", str(copy), "ssh", "--proxy-mode", "-s", name, "-i", str(key)]
        stream = dial_program(words, timeout, lambda said: _meaning(said, name))
        if stream.recv(4, socket.MSG_PEEK) == b"SSH-":
            return stream
    stream.close()
    raise _meaning("authorize colab-cli", name)  # it asks for a login's code


def _stored(name: str) -> dict[str, object]:
    try:
        found: dict[str, object] = json.loads(_STORE.expanduser().read_bytes())[name]
        return found
    except (OSError, ValueError, KeyError, TypeError):
        raise Unreachable(f"Google's `colab` knows no session `{name}`", _UP.format(name)) from None


def _said(name: str, *words: str, patience: float = _PATIENCE) -> str:
    """What the program prints; `name` is the session that it is about. Raises ColabRemoteError where it fails."""
    argv = [*_program(), *words]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience)
    except subprocess.TimeoutExpired:
        raise Unreachable(f"`colab {words[0]}` did not answer within {patience:.0f} s", "run this again") from None
    if done.returncode:
        raise _meaning(done.stderr + done.stdout, name)
    return done.stdout


def _meaning(said: str, name: str) -> ColabRemoteError:
    for pattern, kind, message, hint in _MEANINGS:
        if re.search(pattern, said):
            return kind(message.format(name), hint.format(name))
    # Of what it does not foresee most is a network that is gone, which comes back.
    return Unreachable(f"Google's `colab` failed: {_last(said)}", "`colab log` may say more")


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1].removeprefix("[colab] ") if lines else "it did not say why"


def _program() -> Sequence[str]:
    found = shutil.which("colab")
    if found:
        return (os.path.abspath(found),)
    if find_spec("colab_cli"):
        return (sys.executable, "-m", "colab_cli.cli")
    raise Refused(
        "Google's own command line for Colab is not installed here",
        "pipx install google-colab-cli (Linux and macOS, Python 3.12 or later), then `colab sessions` logs in",
    )
