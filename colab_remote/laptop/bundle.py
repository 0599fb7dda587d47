"""The agent as it travels: packed here, unpacked and started on the runtime."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import zlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from colab_remote.both.protocol import GREETING

MARK = b"colab-remote-agent "
OLDEST = (3, 9)


class Bundle(NamedTuple):
    """Modules of `agent/`, `both/` and pathspec; `hash` names what is in them."""

    hash: str
    content: bytes

    @property
    def archive(self) -> bytes:
        """What a runtime gets that asks for it: how long it is, and the modules. Most have them, and none is packed."""
        packed = zlib.compress(self.content, 6)
        return b"%08d" % len(packed) + packed

    @property
    def greeting(self) -> bytes:
        """The line that an agent of exactly this version begins with."""
        return f"{GREETING} {self.hash}\n".encode()

    @property
    def needed(self) -> bytes:
        """The line with which the runtime asks for the archive."""
        return MARK + f"needs {self.hash}\n".encode()

    def command(self) -> str:
        """What the far shell is asked to run: it starts the agent, asking for the archive where it has to.

        One line and no character but letters that every shell leaves alone inside single quotes.
        `-I -S`: nothing in the working directory or in site-packages can slow it down or shadow a module.
        """
        script = _BOOT.format(hash=self.hash, oldest=OLDEST)
        packed = base64.b64encode(script.encode("ascii")).decode("ascii")
        return f"python3 -IS -c 'import base64;exec(base64.b64decode(\"{packed}\"))'"


@cache
def bundle() -> Bundle:
    """The bundle of what is installed here."""
    import colab_remote

    root = Path(colab_remote.__file__).parent
    pathspec = importlib.util.find_spec("pathspec")
    assert pathspec is not None
    assert pathspec.origin is not None
    files = {"colab_remote/__init__.py": ""}
    for folder in (root / "agent", root / "both", Path(pathspec.origin).parent):
        prefix = "pathspec" if folder.name == "pathspec" else f"colab_remote/{folder.name}"
        for path in sorted(folder.rglob("*.py")):
            files[f"{prefix}/{path.relative_to(folder).as_posix()}"] = path.read_text("utf-8")
    content = json.dumps(files).encode("ascii")
    return Bundle(hashlib.blake2b(content, digest_size=16).hexdigest(), content)


# Runs on whatever `python3` is over there, so nothing newer than Python 3.5 before the version is checked.
_BOOT = """
import os, sys
def say(text):
    os.write(1, ("colab-remote-agent " + text + "\\n").encode("utf-8", "replace"))
    return 1
def take(count):
    data = b""
    while len(data) < count:
        piece = os.read(0, count - len(data))
        if not piece:
            sys.exit(1)
        data += piece
    return data
def unpack(folder):
    import json, shutil, zlib
    say("needs {hash}")
    data = take(int(take(8)))
    partial = folder + ".partial-" + str(os.getpid())
    try:
        for name, text in json.loads(zlib.decompress(data).decode("ascii")).items():
            path = os.path.join(partial, *name.split("/"))
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            with open(path, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        os.rename(partial, folder)
    except OSError:
        # Another agent may have been faster with the same files.
        shutil.rmtree(partial, True)
        if not os.path.isdir(folder):
            raise
def main():
    if sys.version_info < {oldest}:
        return say("python " + sys.version.split()[0])
    state = os.environ.get("COLAB_REMOTE_STATE") or os.path.expanduser("~/.colab-remote")
    folder = os.path.join(state, "agent", "{hash}")
    try:
        if not os.path.isdir(folder):
            unpack(folder)
    except OSError as error:
        return say("cannot " + str(error))
    sys.path.insert(0, folder)
    import runpy
    runpy.run_module("colab_remote.agent", run_name="__main__")
sys.exit(main())
"""
