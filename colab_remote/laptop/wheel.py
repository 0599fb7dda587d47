"""A wheel of something pure Python that is installed here, made without an index or a build."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from dataclasses import dataclass
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

_LEFT_OUT = frozenset({"__pycache__", "templates"})  # what a runtime has no use for


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel's file name and bytes."""

    name: str
    data: bytes

    @property
    def text(self) -> str:
        """The bytes in letters that need no escape between double quotes."""
        return base64.b85encode(self.data).decode("ascii")


def wheel_of(project: str, package: str) -> Wheel:
    """The modules of `package`, of the installed distribution `project`, as a wheel that requires nothing.

    Its form: https://packaging.python.org/specifications/binary-distribution-format
    """
    version = distribution(project).version
    facts = f"{package}-{version}.dist-info"
    files = {
        **_modules(package),
        f"{facts}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n".encode(),
        f"{facts}/WHEEL": b"Wheel-Version: 1.0\nGenerator: colab-remote\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{facts}/entry_points.txt": (distribution(project).read_text("entry_points.txt") or "").encode(),
    }
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{facts}/RECORD"] = f"{record}{facts}/RECORD,,\n".encode()
    return Wheel(f"{package}-{version}-py3-none-any.whl", _zipped(files))


def _modules(package: str) -> dict[str, bytes]:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    found = (path.relative_to(root) for path in sorted(root.rglob("*.py")))
    return {
        f"{package}/{path.as_posix()}": (root / path).read_bytes()
        for path in found
        if not _LEFT_OUT.intersection(path.parts)
    }


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode("ascii").rstrip("=")


def _zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in files.items():
            # A fixed date: the same package gives the same cell.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
