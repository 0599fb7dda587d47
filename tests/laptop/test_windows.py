"""What is different on Windows and macOS, as far as Linux can prove it: by the platform as a parameter."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path, PureWindowsPath

import pytest

import colab_remote
from colab_remote.both.whole import replace
from colab_remote.errors import Refused
from colab_remote.laptop.client import how_to_install
from colab_remote.laptop.clipboard import copy
from colab_remote.laptop.hosts import Host
from colab_remote.laptop.places import icacls_argv, keep_private
from colab_remote.laptop.project import read_settings
from colab_remote.laptop.settings import line_idle
from colab_remote.laptop.ssh_config import config_text, proxy_command
from colab_remote.runtime.wanted import require_linux
from colab_remote.ticket import parse_ticket

WHO = {"USERDOMAIN": "DESKTOP-1", "USERNAME": "김 민수"}
PACKAGE = Path(colab_remote.__file__).parent
# What only POSIX has, and the doors behind which it is named: each asks for the platform first.
POSIX = {"fcntl", "pwd", "grp", "termios", "tty", "pty", "resource", "getuid", "geteuid", "fork", "AF_UNIX"}
DOORS = {
    "both/records.py",
    "cli/terminal.py",
    "laptop/places.py",
    "laptop/lock.py",
    "laptop/stdio.py",
    "laptop/line/door.py",
    "laptop/line/sockets.py",
}


def test_a_key_is_left_to_its_user_the_system_and_administrators() -> None:
    key = Path("C:/Users/김 민수/.ssh/colab-remote/id_ed25519")
    granted = ["DESKTOP-1\\김 민수:F", "*S-1-5-18:F", "*S-1-5-32-544:F"]
    assert icacls_argv(key, WHO, folder=False) == ["icacls", str(key), "/inheritance:r", "/grant:r", *granted]
    assert icacls_argv(key.parent, WHO, folder=True)[-1] == "*S-1-5-32-544:(OI)(CI)F"


@pytest.mark.parametrize("code", [0, 5])
def test_icacls_is_run_and_its_refusal_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    program = tmp_path / "icacls"
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/said"\necho "Access is denied." >&2\nexit {code}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name, value in WHO.items():
        monkeypatch.setenv(name, value)
    if code:
        with pytest.raises(Refused, match=r"cannot be kept from others: Access is denied\."):
            keep_private(tmp_path / "key", "win32")
    else:
        keep_private(tmp_path / "key", "win32")
    assert (tmp_path / "said").read_text("utf-8").splitlines() == icacls_argv(tmp_path / "key", WHO, False)[1:]


def test_a_proxy_command_is_read_alike_by_windows_and_by_a_posix_shell() -> None:
    python = r"C:\Users\김 민수\100%\python.exe"
    line = proxy_command("wss://x.ngrok-free.app", python, "win32")
    assert line.startswith('"C:/Users/김 민수/100%%/python.exe" -P -m colab_remote proxy')
    echo = ["sh", "-c", f"printf '%s\\n' {line.replace('%%', '%')}"]
    words = subprocess.check_output(echo, text=True).splitlines()
    assert PureWindowsPath(words[0]) == PureWindowsPath(python)
    assert words[1:] == ["-P", "-m", "colab_remote", "proxy", "wss://x.ngrok-free.app"]


def test_a_macs_home_is_quoted_for_the_shell() -> None:
    line = proxy_command("wss://x.ngrok-free.app", "/Users/김 민수/python", "darwin")
    assert line == "'/Users/김 민수/python' -P -m colab_remote proxy wss://x.ngrok-free.app"


def test_no_path_in_the_config_has_a_backslash_on_windows() -> None:
    ticket = parse_ticket(f"ssh://root@h:1/x#SHA256:{'A' * 43}")
    key = PureWindowsPath(r"C:\Users\Kim 100%\.ssh\colab-remote\id_ed25519")
    text = config_text([Host("colab", ticket, key)], PureWindowsPath(r"C:\Users\Kim 100%\.ssh\colab-remote\keys"))  # type: ignore[arg-type]
    assert '    IdentityFile "C:/Users/Kim 100%%/.ssh/colab-remote/id_ed25519"\n' in text
    assert '    UserKnownHostsFile "C:/Users/Kim 100%%/.ssh/colab-remote/keys/colab"\n' in text
    assert "\\" not in text


@pytest.mark.parametrize(
    ("platform", "program", "encoding"), [("win32", "clip", "utf-16"), ("darwin", "pbcopy", "utf-8")]
)
def test_the_clipboards_program_reads_any_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, program: str, encoding: str
) -> None:
    (tmp_path / program).write_text(f'#!/bin/sh\ncat > "{tmp_path}/got"\n')
    (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert copy("셀 · cell", platform)
    assert (tmp_path / "got").read_bytes().decode(encoding) == "셀 · cell"


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_a_laptop_is_no_runtime_and_is_told_so(platform: str) -> None:
    with pytest.raises(Refused, match="a runtime is a Linux machine"):
        require_linux(platform)


def test_each_system_has_its_way_to_an_openssh_client() -> None:
    assert "Add-WindowsCapability" in how_to_install("win32")
    assert "brew" in how_to_install("darwin")
    assert "apt" in how_to_install("linux")


def test_settings_that_notepad_or_powershell_wrote_are_read_or_named(tmp_path: Path) -> None:
    settings = tmp_path / "colab-remote.toml"
    settings.write_text('[project]\r\nname = "한글"\r\n', encoding="utf-8-sig")
    assert read_settings(settings) == {"name": "한글"}
    for encoding in ("utf-16", "cp949"):
        settings.write_text('[project]\nname = "한글"\n', encoding=encoding)
        with pytest.raises(Refused, match="is not written in UTF-8") as refused:
            read_settings(settings)
        assert "save it as UTF-8" in refused.value.hint


def test_the_users_settings_may_begin_with_a_byte_order_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLAB_REMOTE_HOME", str(tmp_path))
    (tmp_path / "config.toml").write_text('[line]\nidle = "2m"\n', encoding="utf-8-sig")
    assert line_idle() == 120


def test_what_only_posix_has_stands_behind_its_doors() -> None:
    for path in [*PACKAGE.glob("laptop/**/*.py"), *PACKAGE.glob("cli/*.py"), *PACKAGE.glob("both/*.py")]:
        named = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr != "tty":  # which a job has
                named.add(node.attr)
            elif isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
        name = path.relative_to(PACKAGE).as_posix()
        assert not named & POSIX or name in DOORS, f"{name}: {named & POSIX}"


def test_a_file_that_a_virus_scanner_reads_is_replaced_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, refusals = os.replace, 3

    def refused_at_first(source: Path, place: Path) -> None:  # as Windows does
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise PermissionError
        really(source, place)

    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    monkeypatch.setattr(os, "replace", refused_at_first)
    with pytest.raises(PermissionError):
        replace(tmp_path / "new", tmp_path / "old", "linux")
    replace(tmp_path / "new", tmp_path / "old", "win32")
    assert (tmp_path / "old").read_text() == "new"
