"""What sessions and jobs see of the environment that `launch` was called in."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from colab_remote.both.whole import write_whole
from colab_remote.errors import Refused
from colab_remote.runtime.secrets import in_colab, secret

_NAMES = frozenset({"PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV"})
_PREFIXES = ("COLAB_", "CUDA_", "NVIDIA_", "TF_", "TPU_", "XRT_")
_OURS = "COLAB_REMOTE_"
_SECRETS = ("KEY", "PASSWORD", "SECRET", "TOKEN")
# Bash reads it as its BASH_ENV when it has no prompt, and runs it before its first prompt when it has one.
_LOGIN = """\
# Debian's /etc/profile sets PATH anew; this puts what the notebook has in front of the system's folders again, once.
case ":$PATH:" in
    *:{path}:*) ;;
    *:/usr/local/*)
        PATH=:$PATH
        PATH=${{PATH%%:/usr/local/*}}:{path}:/usr/local/${{PATH#*:/usr/local/}}
        PATH=${{PATH#:}}
        ;;
esac
PROMPT_COMMAND=${{PROMPT_COMMAND/{hook}/:}}
unset BASH_ENV
"""
# `bash -ilc`, by which editors learn a user's environment, has a prompt and never shows it. Only the system's own
# folder reaches it, so this is done on Colab's throwaway machines alone.
PROFILE = Path("/etc/profile.d/colab-remote.sh")
_PROFILE = """\
# Of colab-remote: sessions that it let in have the notebook's PATH.
if [ -n "${BASH_VERSION:-}" ] && [ -r "${COLAB_REMOTE_STATE:-}/login.sh" ]; then . "$COLAB_REMOTE_STATE/login.sh"; fi
"""


def session_environment(environ: Mapping[str, str], python: str) -> dict[str, str]:
    """The variables that every session sees; no secret among them.

    PATH begins with the folder of `python`, the interpreter of the notebook, so that `python3` is this one.
    """
    seen = {name: value for name, value in environ.items() if _matters(name)}
    folder = str(Path(python).parent)
    path = seen.get("PATH", os.defpath).split(os.pathsep)
    seen["PATH"] = os.pathsep.join([folder, *(place for place in path if place != folder)])
    return seen


def without_secrets(environ: Mapping[str, str], for_jobs: Iterable[str]) -> dict[str, str]:
    """What may be left in processes that stay: no secret, and nothing that is jobs' alone."""
    return {name: value for name, value in environ.items() if not _is_secret(name) and name not in for_jobs}


def login_hooks(state: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables by which bash's login shells get PATH back, from a file in `state` that this writes."""
    file = state / "login.sh"
    hook = f". {shlex.quote(str(file))}"
    text = _LOGIN.format(path=shlex.quote(environment["PATH"]), hook=shlex.quote(hook))
    write_whole(file, text.encode("utf-8", "surrogateescape"))
    if in_colab() and os.access(PROFILE.parent, os.W_OK):
        write_whole(PROFILE, _PROFILE.encode(), 0o644)
    return {"BASH_ENV": str(file), "PROMPT_COMMAND": hook}


def job_environment(names: Iterable[str]) -> dict[str, str]:
    """Colab secrets or variables that jobs may see, by name. Raises Refused for one that is nowhere."""
    found = {}
    for name in names:
        value = secret(name) if name.isprintable() else None
        if value is None:
            raise Refused(f"`{name}` is neither a Colab secret nor a variable here", "leave it out of `env`, or set it")
        found[name] = value
    return found


def _matters(name: str) -> bool:
    if name.startswith(_OURS) or _is_secret(name):
        return False
    return name in _NAMES or name.startswith(_PREFIXES)


def _is_secret(name: str) -> bool:
    return any(word in name.upper() for word in _SECRETS)
