"""What sessions and jobs see of the environment that `launch` was called in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from colab_remote.errors import Refused
from colab_remote.runtime.secrets import secret

_NAMES = frozenset({"PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV"})
_PREFIXES = ("COLAB_", "CUDA_", "NVIDIA_", "TF_", "TPU_", "XRT_")
_OURS = "COLAB_REMOTE_"
_SECRETS = ("KEY", "PASSWORD", "SECRET", "TOKEN")


def session_environment(environ: Mapping[str, str], python: str) -> dict[str, str]:
    """The variables that every session sees; no secret among them.

    PATH begins with the folder of `python`, the interpreter of the notebook, so that `python3` is this one.
    """
    seen = {name: value for name, value in environ.items() if _matters(name)}
    folder = str(Path(python).parent)
    path = seen.get("PATH", os.defpath).split(os.pathsep)
    seen["PATH"] = os.pathsep.join([folder, *(place for place in path if place != folder)])
    return seen


def job_environment(names: Iterable[str]) -> dict[str, str]:
    """Colab secrets or variables that jobs may see, by name. Raises Refused for one that is nowhere."""
    found = {}
    for name in names:
        value = secret(name)
        if value is None:
            raise Refused(f"`{name}` is neither a Colab secret nor a variable here", "leave it out of `env`, or set it")
        found[name] = value
    return found


def _matters(name: str) -> bool:
    if name.startswith(_OURS) or any(word in name.upper() for word in _SECRETS):
        return False
    return name in _NAMES or name.startswith(_PREFIXES)
