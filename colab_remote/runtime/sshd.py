"""The sshd that lets people in: its program, its host key, its configuration."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from colab_remote.both.whole import write_whole
from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.runtime.record import no_runtime
from colab_remote.runtime.secrets import HOST_KEY
from colab_remote.ticket import USER, fingerprint

# ssh-audit's advice: no fail, and no warning but the one for curve25519, which paramiko needs where the server
# has no ML-KEM yet. sshd refuses to start on a name that it does not know, so these two are asked about first.
_NEWEST_KEX = ("mlkem768x25519-sha256", "sntrup761x25519-sha512@openssh.com")
_CURVE = "curve25519-sha256@libssh.org"
_CIPHERS = "aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr"
_MACS = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,umac-128-etm@openssh.com"
_ESCAPED = set('"\\')  # what a value in quotes has to escape
_SETENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_APT_PATIENCE = 300  # seconds


@dataclass(frozen=True, slots=True)
class Sshd:
    """What the configuration of one sshd says. `state` holds its files, `environment` reaches every session."""

    program: str
    state: Path
    user: str
    address: str
    port: int
    environment: Mapping[str, str]

    @property
    def config(self) -> Path:
        """The configuration's place."""
        return self.state / "sshd_config"

    @property
    def argv(self) -> list[str]:
        """The command that runs it in the foreground, its log on stderr."""
        return [self.program, "-D", "-e", "-f", str(self.config)]


def login_name() -> str:
    """The user that this process is, whatever $USER says: the only one whom its sshd lets in. Raises Refused."""
    if sys.platform == "win32":
        raise no_runtime()
    import pwd

    number = os.geteuid()
    try:
        name = pwd.getpwuid(number).pw_name
    except KeyError:
        raise Refused(f"this machine knows no user with the number {number}", "launch as one that it knows") from None
    if not USER.fullmatch(name):
        raise Refused(f"the user `{name}` has a name that no ticket can hold", "launch as another user")
    return name


def find_sshd() -> str:
    """The program's absolute path, brought by apt where it is missing and we may. Raises ColabRemoteError."""
    found = _on_path()
    if found:
        return found
    if not _root() or not shutil.which("apt-get"):
        raise ColabRemoteError("this machine has no sshd", "install it: sudo apt-get install openssh-server")
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "openssh-server"]):
        _apt(command)
    found = _on_path()
    if not found:
        raise ColabRemoteError("apt-get installed openssh-server, and there is still no sshd", "install one by hand")
    return found


def host_key(state: Path, given: str | None) -> str:
    """The fingerprint of the host key in `state`, see `keep_key`."""
    return fingerprint(base64.b64decode(keep_key(state / "ssh_host_ed25519_key", HOST_KEY, given).split()[1]))


def keep_key(path: Path, name: str, given: str | None) -> bytes:
    """The public line of the private key at `path`: the one `given` by the secret `name`, the one kept, or a new one.

    Raises Refused where `given` is no ed25519 private key.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        text = given.strip().encode() + b"\n" if given else path.read_bytes() if path.exists() else b""
        key = serialization.load_ssh_private_key(text, None) if text else Ed25519PrivateKey.generate()
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        source = f"the secret `{name}`" if given else f"`{path}`"
        raise Refused(f"{source} holds no ed25519 private key without a passphrase", "remove it, or make a new one")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    write_whole(path, key.private_bytes(*form), 0o600)
    line = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    write_whole(path.with_suffix(".pub"), line + b"\n", 0o644)
    return line


def write_config(sshd: Sshd, keys: Sequence[str]) -> tuple[str, ...]:
    """Write what sshd reads, once it has checked it; names the variables that its SetEnv cannot carry.

    Raises ColabRemoteError with sshd's own words where it refuses; what an earlier launch wrote stays then.
    """
    carried, left_out = _carried(sshd)
    algorithms = [name for name in _NEWEST_KEX if _knows(sshd, f"KexAlgorithms={name}")]
    asked = sshd.config.with_suffix(".new")
    write_whole(asked, config_text(sshd, algorithms, carried).encode("utf-8", "surrogateescape"))
    if _root():
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where Debian's sshd separates its privileges
    checked = subprocess.run([sshd.program, "-t", "-f", str(asked)], capture_output=True, text=True)
    if checked.returncode:
        raise ColabRemoteError(f"sshd refuses its configuration: {checked.stderr.strip()}", f"see `{asked}`")
    asked.replace(sshd.config)
    write_whole(sshd.state / "authorized_keys", "".join(f"{key}\n" for key in keys).encode())
    return left_out


def config_text(sshd: Sshd, algorithms: Sequence[str], environment: Mapping[str, str]) -> str:
    """The configuration: key-only, one user, forwarding as Remote-SSH needs it."""
    kex = ",".join((*algorithms, *(() if _NEWEST_KEX[0] in algorithms else (_CURVE,))))
    listen = f"[{sshd.address}]:{sshd.port}" if ":" in sshd.address else f"{sshd.address}:{sshd.port}"
    variables = " ".join(f"{name}={_quoted(value)}" for name, value in environment.items())
    keys = str(sshd.state / "authorized_keys").replace("%", "%%")  # sshd expands tokens in this path
    return "\n".join(
        (
            f"ListenAddress {listen}",
            f"HostKey {_quoted(str(sshd.state / 'ssh_host_ed25519_key'))}",
            "HostKeyAlgorithms ssh-ed25519",
            f"KexAlgorithms {kex}",
            f"Ciphers {_CIPHERS}",
            f"MACs {_MACS}",
            f"AllowUsers {sshd.user}",
            f"AuthorizedKeysFile {_quoted(keys)}",
            "# The state folder is 0700; what lies above it (a sticky /tmp, say) is not ours to judge.",
            "StrictModes no",
            "AuthenticationMethods publickey",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "UsePAM no",
            "LoginGraceTime 30",
            "# An editor, terminals, sync and jobs at once.",
            "MaxSessions 100",
            "MaxStartups 100:30:200",
            "ClientAliveInterval 30",
            "ClientAliveCountMax 4",
            "AllowTcpForwarding yes",
            "AllowAgentForwarding no",
            "X11Forwarding no",
            "PrintMotd no",
            "UseDNS no",
            "PidFile none",
            "AcceptEnv LANG LC_*",
            "Subsystem sftp internal-sftp",
            "# One line: sshd takes the first SetEnv alone.",
            f"SetEnv {variables}",
            "",
        )
    )


def _carried(sshd: Sshd) -> tuple[dict[str, str], tuple[str, ...]]:
    barred = set("\n\r\0")
    # Before OpenSSH 8.7 nothing in quotes can be escaped.
    odd = any(set(value) & _ESCAPED for value in sshd.environment.values())
    if odd and not _knows(sshd, r'SetEnv=A="\"" B="\""'):
        barred |= _ESCAPED
    fits = {
        name: value
        for name, value in sshd.environment.items()
        if _SETENV_NAME.fullmatch(name) and not set(value) & barred
    }
    return fits, tuple(name for name in sshd.environment if name not in fits)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _knows(sshd: Sshd, option: str) -> bool:
    asked = [sshd.program, "-T", "-f", os.devnull, "-h", str(sshd.state / "ssh_host_ed25519_key")]
    done = subprocess.run([*asked, "-o", option], capture_output=True)
    return done.returncode == 0


def _root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _on_path() -> str | None:
    # sshd insists on being started by its absolute path, and a user's PATH seldom has /usr/sbin.
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin:/sbin")
    return os.path.abspath(found) if found else None


def _apt(words: Sequence[str]) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(
            ["apt-get", *words], env=quiet, check=True, capture_output=True, text=True, timeout=_APT_PATIENCE
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = (error.stderr or "").strip().rpartition("\n")[2] if isinstance(error.stderr, str) else ""
        raise ColabRemoteError(
            f"this machine has no sshd, and `apt-get {words[0]}` failed: {said or 'it took too long'}",
            "install openssh-server by hand",
        ) from None
