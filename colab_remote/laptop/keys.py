"""The key that lets this laptop in."""

from __future__ import annotations

import base64
import getpass
import io
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from colab_remote.both.whole import write_whole
from colab_remote.errors import Refused
from colab_remote.laptop.places import keep_private, make_private, ours

if TYPE_CHECKING:
    import paramiko

_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_TRIES = 3
_asking = threading.Lock()  # a person answers one question after the other


def own_key() -> Path:
    """Our ed25519 private key, made on first use; its public line lies beside it in `.pub`."""
    path = ours() / "id_ed25519"
    if not path.exists():
        _make(path)
    return path


def public_line(key: Path) -> str:
    """`ssh-ed25519 AAAA... comment` of the private key at `key`. Raises Refused where there is none."""
    beside = key.with_name(f"{key.name}.pub")
    if beside.exists():
        return beside.read_text("utf-8").strip()
    kind, blob = _public_half(key)
    return f"{kind} {base64.b64encode(blob).decode('ascii')}"


def load_key(key: Path, passphrase: str = "") -> paramiko.PKey:
    """The key that signs a login: the file's, or the one that ssh-agent holds for a file that is locked.

    Raises Refused where it cannot be read, or needs a passphrase that neither of them has.
    """
    import paramiko

    data = read_key(key)
    if is_locked(data) and not passphrase:
        held = _held_by_agent(key)
        if held is None:
            raise _locked(key)
        return held
    try:
        return _unlocked(data, passphrase) if passphrase else paramiko.PKey.from_path(key)
    except (ValueError, TypeError, paramiko.SSHException):
        raise Refused(
            f"`{key}` cannot be read as a private key",
            "`connect` again with another `-i`, or without: colab-remote then makes a key of its own",
        ) from None


def ask_passphrase(key: Path) -> str:
    """What opens the key, from the person at the terminal; empty where it needs none, or ssh-agent holds it.

    Raises Refused where nobody can be asked, or three answers were wrong.
    """
    if not key.exists() or not is_locked(read_key(key)):
        return ""  # a key that is missing is named by who reads it
    with _asking:
        if _held_by_agent(key):
            return ""
        if not sys.stdin.isatty():
            raise _locked(key)
        for _ in range(_TRIES):
            said = getpass.getpass(f"passphrase of {key}: ")
            with suppress(Refused):
                if said and load_key(key, said):
                    return said
    raise Refused(f"that is not the passphrase of `{key}`", f"`ssh-add {key}` hands the key to ssh-agent")


def refuse_what_ssh_would(key: Path) -> None:
    """Raise Refused for a private key that paramiko takes and ssh does not."""
    data = read_key(key)
    if data.startswith(_OPENSSH) and (b"\r" in data or not data.endswith(b"\n")):
        raise Refused(
            f"ssh cannot read `{key}`: each of its lines, the last one too, must end in a line feed alone",
            "copy the file once more as it is",
        )
    if sys.platform != "win32" and key.stat().st_mode & 0o077:
        raise Refused(f"others may read `{key}`, and ssh uses no such key", f"`chmod 600 '{key}'`")


def is_locked(data: bytes) -> bool:
    """Whether a private key file needs a passphrase."""
    if not data.startswith(_OPENSSH):
        return b"ENCRYPTED" in data  # as PKCS#8 and the older PEM headers say
    try:
        return _fields(data)[0] != b"none"
    except (ValueError, struct.error):
        return False  # no key at all


def read_key(key: Path) -> bytes:
    """The private key file's bytes. Raises Refused."""
    try:
        return key.read_bytes()
    except OSError as error:
        raise Refused(
            f"the key `{key}` cannot be read: {error.strerror}",
            "name another with `-i`, or leave `-i` out: colab-remote then makes one of its own",
        ) from None


def new_pair(comment: str) -> tuple[bytes, bytes]:
    """A new ed25519 key: its private half as ssh-keygen writes it, and its public line."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.OpenSSH
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, public + f" {comment}\n".encode()


def _make(path: Path) -> None:
    private, public = new_pair("colab-remote")
    keep_private(make_private(path.parent))
    # The public half first: a key without it would be replaced, one with it never is.
    write_whole(path.with_name(f"{path.name}.pub"), public, 0o644)
    write_whole(path, private)
    keep_private(path)


def _unlocked(data: bytes, passphrase: str) -> paramiko.PKey:
    """The key in memory. paramiko's own way takes the passphrase as text or as bytes, as its version has it."""
    import paramiko
    from cryptography.hazmat.primitives import serialization

    load = serialization.load_ssh_private_key if data.startswith(_OPENSSH) else serialization.load_pem_private_key
    form, none = serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    text = load(data, passphrase.encode("utf-8")).private_bytes(serialization.Encoding.PEM, form, none).decode("ascii")
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        with suppress(paramiko.SSHException):
            return kind.from_private_key(io.StringIO(text))
    raise ValueError("a key of no kind that SSH takes today")


def _held_by_agent(key: Path) -> paramiko.PKey | None:
    import paramiko

    try:
        blob = base64.b64decode(public_line(key).split()[1])
        return next((held for held in paramiko.Agent().get_keys() if held.asbytes() == blob), None)
    except (Refused, IndexError, ValueError, OSError, paramiko.SSHException):
        return None  # an agent that does not answer holds nothing


def _public_half(key: Path) -> tuple[str, bytes]:
    """Type and wire form of the public key, which OpenSSH's own format keeps readable. Raises Refused."""
    data = read_key(key)
    if is_locked(data) and data.startswith(_OPENSSH):
        blob = _fields(data)[3]
        return blob[4 : 4 + int.from_bytes(blob[:4], "big")].decode("ascii"), blob
    loaded = load_key(key)
    return loaded.get_name(), loaded.asbytes()


def _fields(data: bytes) -> list[bytes]:
    """Cipher, KDF, its options and the public key of a private key file (openssh/PROTOCOL.key)."""
    blob = base64.b64decode(b"".join(data.split(b"\n")[1:]).partition(b"-")[0])
    found, at = [], len(b"openssh-key-v1\0")
    for number in range(4):
        at += 4 * (number == 3)  # how many keys there are: one
        (length,) = struct.unpack_from("!I", blob, at)
        found.append(blob[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _locked(key: Path) -> Refused:
    return Refused(
        f"`{key}` needs its passphrase, which ssh-agent does not know",
        f"`ssh-add {key}` hands the key to ssh-agent; on a terminal you are asked for the passphrase",
    )
