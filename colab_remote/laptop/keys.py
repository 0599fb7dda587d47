"""The key that lets this laptop in."""

from __future__ import annotations

from pathlib import Path

from colab_remote.both.whole import write_whole
from colab_remote.errors import Refused
from colab_remote.laptop.places import keep_private, make_private, ours


def own_key() -> Path:
    """Our ed25519 private key, made on first use; its public line lies beside it in `.pub`."""
    path = ours() / "id_ed25519"
    if not path.exists():
        _make(path)
    return path


def public_line(key: Path) -> str:
    """`ssh-ed25519 AAAA... comment` of the private key at `key`. Raises Refused where there is none."""
    from cryptography.hazmat.primitives import serialization

    beside = key.with_name(f"{key.name}.pub")
    if beside.exists():
        return beside.read_text("utf-8").strip()
    try:
        private = serialization.load_ssh_private_key(read_key(key), None)
    except (ValueError, TypeError):
        raise Refused(
            f"`{key}` cannot be read as a private key without a passphrase",
            "name another with `-i`, or leave `-i` out: colab-remote then makes one of its own",
        ) from None
    line = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line.decode("ascii")


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
