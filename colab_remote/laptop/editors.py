"""Editors that open a folder on a runtime through the written ssh config."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from urllib.parse import quote

from colab_remote.errors import ColabRemoteError, Refused


@dataclass(frozen=True, slots=True)
class Editor:
    """`command` starts it; a link that begins with `scheme://` leads to it too.

    While it is connected to a runtime, programs run there from the folder `server` of a home.
    """

    command: str
    scheme: str
    title: str
    server: str


EDITORS = {
    "code": Editor("code", "vscode", "VS Code", ".vscode-server"),
    "cursor": Editor("cursor", "cursor", "Cursor", ".cursor-server"),
    "windsurf": Editor("windsurf", "windsurf", "Windsurf", ".windsurf-server"),
}


def find_editor(command: str | None = None) -> Editor | None:
    """The editor of that name, or the first of all, that is installed here."""
    wanted = [EDITORS[command]] if command else EDITORS.values()
    return next((editor for editor in wanted if shutil.which(editor.command)), None)


def link(editor: Editor, host: str, folder: str) -> str:
    """The address under which a browser or a terminal hands `folder` on `host` to the editor."""
    return f"{editor.scheme}://vscode-remote/{_authority(host)}{quote(folder, errors='surrogateescape')}"


def open_editor(editor: Editor, host: str, folder: str) -> None:
    """Start the editor on `folder` of `host`. Raises ColabRemoteError, with the link for a browser."""
    program = shutil.which(editor.command)
    assert program, "find_editor found it"
    place = f"vscode-remote://{_authority(host)}{quote(folder, errors='surrogateescape')}"
    done = subprocess.run([program, "--folder-uri", place], capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise ColabRemoteError(
            f"{editor.title} did not start: {done.stderr.strip().rpartition(chr(10))[2] or done.returncode}",
            f"open this in a browser: {link(editor, host, folder)}",
        )


def no_editor(host: str, folder: str) -> Refused:
    """What to say where no editor is installed."""
    names = ", ".join(f"`{command}`" for command in EDITORS)
    return Refused(
        f"no editor was found here (looked for {names})",
        f"open {link(EDITORS['code'], host, folder)} in a browser; or install the `code` command: in VS Code's command "
        "palette run `Shell Command: Install 'code' command in PATH`",
    )


def _authority(host: str) -> str:
    # VS Code lowers the case of an authority; what has capitals travels in hex, as Remote-SSH itself writes it.
    name = host if host == host.lower() else json.dumps({"hostName": host}, separators=(",", ":")).encode().hex()
    return f"ssh-remote+{name}"
