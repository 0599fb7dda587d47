"""What ssh, scp, rsync and VS Code read: one generated file, and one `Include` in the user's own."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from colab_remote.both.whole import write_whole
from colab_remote.errors import Refused
from colab_remote.laptop.hosts import Host
from colab_remote.laptop.places import keep_private, make_private, ours, ssh_folder
from colab_remote.laptop.proxy import NONE

_HEAD = "# Written by colab-remote, which replaces it: settings of your own belong into ~/.ssh/config.\n"
_GLOB = re.compile(r"([*?\[\]\\])")
_BLOCK = re.compile(rb"\s*(host|match)\b", re.IGNORECASE)

# Every option with its reason. `RemoteCommand` and `RequestTTY` never appear: they break VS Code Remote-SSH.
_BLOCK_TEXT = """
Host {name}
    HostName {address}
{port}{proxy}\
    User {user}
    # This key and no other: an agent full of keys is turned away before it comes to the right one.
    IdentityFile {key}
    IdentitiesOnly yes
    PreferredAuthentications publickey
    # The key on the ticket is pinned under the host's name, because a tunnel's address is another runtime tomorrow.
    HostKeyAlias {name}
    HostKeyAlgorithms ssh-ed25519
    UserKnownHostsFile {pinned}
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    CheckHostIP no
    UpdateHostKeys no
    # A dead tunnel is noticed within 45 s.
    ServerAliveInterval 15
    ServerAliveCountMax 3
    # A rented machine gets neither this laptop's other keys nor its screen.
    ForwardAgent no
    ForwardX11 no
"""


def config_text(hosts: Iterable[Host], pinned: Path) -> str:
    """The generated file for `hosts`, whose pinned keys lie in the folder `pinned`. Raises Refused."""
    return _HEAD + "".join(_block(host, pinned / host.name) for host in hosts)


def write_config(hosts: Iterable[Host]) -> None:
    """Replace the generated file."""
    folder = make_private(ours())
    write_whole(folder / "config", config_text(hosts, folder / "keys").encode("utf-8"))
    for path in (folder, folder / "config"):
        keep_private(path)


def pin(name: str, kind: str, key: str) -> None:
    """Keep the host key (its type and base64) that `name` must show to ssh."""
    folder = make_private(ours() / "keys")
    write_whole(folder / name, f"{name} {kind} {key}\n".encode("ascii"))


def unpin(name: str) -> None:
    """Drop the host's pinned key, if there is one."""
    (ours() / "keys" / name).unlink(missing_ok=True)


def add_include() -> None:
    """Make the `Include` of our file the first line of the user's config, once; all else stays as it was."""
    path = user_config()
    before = path.read_bytes() if path.exists() else b""
    after = with_include(before, include_line())
    if after != before:
        _replace(path, after)


def is_included() -> bool:
    """Whether the user's config has our line where it counts."""
    path = user_config()
    before = path.read_bytes() if path.exists() else b""
    return with_include(before, include_line()) == before


def remove_include() -> None:
    """Take our line out of the user's config, and the file away where nothing else is in it."""
    path = user_config()
    if not path.exists():
        return
    before = path.read_bytes()
    after = without_include(before, include_line())
    if not after:
        path.unlink()
    elif after != before:
        _replace(path, after)


def user_config() -> Path:
    """The user's own config file, where a symbolic link leads to it."""
    return (ssh_folder() / "config").resolve()


def include_line() -> bytes:
    """Our line, without its end."""
    return f"Include {quoted(_GLOB.sub(_escaped, (ours() / 'config').as_posix()))}".encode()


def with_include(config: bytes, line: bytes) -> bytes:
    """`config` with `line` first, unless it is already there above the first Host or Match block."""
    lines = config.splitlines()
    first_block = next((i for i, text in enumerate(lines) if _BLOCK.match(text)), len(lines))
    if line in lines[:first_block]:
        return config
    end = b"\r\n" if b"\r\n" in config else b"\n"
    return line + end + config


def without_include(config: bytes, line: bytes) -> bytes:
    """`config` without `line`."""
    return b"".join(text for text in config.splitlines(keepends=True) if text.rstrip(b"\r\n") != line)


def quoted(path: str) -> str:
    """A path as one argument in an OpenSSH config. Raises Refused for one that no config can hold."""
    if not path.isprintable() or "${" in path:
        raise Refused(
            f"OpenSSH cannot read the path `{path}` from its config", "choose another folder: COLAB_REMOTE_HOME=FOLDER"
        )
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def proxy_command(target: str, python: str, platform: str, home: str = "") -> str:
    """The ProxyCommand to a host of ours, or to a URL; absolute, because an editor's PATH is not a shell's.

    `home` is what COLAB_REMOTE_HOME says, which an editor need not know either.
    """
    # -P: ssh may be called in a folder that has a `colab_remote` of somebody else's.
    words = [python, "-P", "-m", "colab_remote", "proxy", target]
    if platform == "win32":
        # ssh starts it itself there, Git's ssh by a POSIX shell: quotes and slashes are what both understand.
        program = python.replace("\\", "/")
        line = f'"{program}" {subprocess.list2cmdline(words[1:])}'
    else:
        line = shlex.join(["env", f"COLAB_REMOTE_HOME={home}", *words] if home else words)
    return line.replace("%", "%%")


def _block(host: Host, pinned: Path) -> str:
    ticket = host.ticket
    return _BLOCK_TEXT.format(
        name=host.name,
        address=ticket.host,
        port=f"    Port {ticket.port}\n" if ticket.port else "",
        proxy=_proxy(host),
        user=ticket.user,
        key=_file(host.key),
        pinned=_file(pinned),
    )


def _proxy(host: Host) -> str:
    ticket = host.ticket
    if host.single:
        command = proxy_command(host.name, sys.executable, sys.platform, os.environ.get("COLAB_REMOTE_HOME", ""))
    elif ticket.via:
        return f"    ProxyJump {ticket.via}\n"
    elif ticket.scheme == "ssh" and host.proxy in ("", NONE):
        return ""
    else:
        command = proxy_command(ticket.address, sys.executable, sys.platform)
    return f"    ProxyCommand {command}\n"


def _file(path: Path) -> str:
    # In these options `%` begins a token. Slashes on Windows too, where OpenSSH takes both.
    return quoted(path.as_posix().replace("%", "%%"))


def _escaped(match: re.Match[str]) -> str:
    return f"\\{match[1]}"


def _replace(path: Path, data: bytes) -> None:
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
    try:
        make_private(path.parent)
        write_whole(path, data, mode)
        keep_private(path)
    except OSError as error:
        raise Refused(
            f"`{path}` cannot be written: {error.strerror}",
            f"make this its first line yourself: {include_line().decode()}",
        ) from None
