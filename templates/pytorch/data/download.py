"""MNIST and Fashion-MNIST as they are published, for `--download`; each file whole and checked, or not at all."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from config import Refused

_CHUNK = 1 << 16
_PATIENCE = 30.0  # seconds for a server to answer
_TRIES = 5  # of a file, each going on where the last was cut


@dataclass(frozen=True)
class Published:
    """Where files lie, and the MD5 that was published with each: it tells what is whole, not who sent it."""

    url: str
    digests: Mapping[str, str]


DATASETS = {
    "mnist": Published(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion-mnist": Published(  # MIT licence
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
}


def download(published: Published, folder: Path) -> None:
    """Bring all of its files into `folder`; those that are there are left alone. Raises Refused."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, digest in published.digests.items():
        if not (folder / name).exists():
            _bring(published.url + name, folder / name, digest)


def _bring(url: str, path: Path, digest: str) -> None:
    part = path.with_name(f"{path.name}.part")
    for _ in range(_TRIES):
        try:
            _go_on(url, part)
        except OSError as error:
            cause = str(error) or type(error).__name__
            continue
        if hashlib.md5(part.read_bytes(), usedforsecurity=False).hexdigest() == digest:
            part.replace(path)
            return
        cause = "what came is another file than the one that was published"
        part.unlink()
        break
    raise Refused(f"`{url}` cannot be downloaded: {cause}; try again, or put the file into `{path.parent}`")


def _go_on(url: str, part: Path) -> None:
    """Append to `part` what is missing of it. Raises OSError."""
    begun = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={begun}-"} if begun else {})
    try:
        answer = urllib.request.urlopen(request, timeout=_PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # nothing is missing
            return
        raise
    with answer, part.open("ab" if answer.status == HTTPStatus.PARTIAL_CONTENT else "wb") as file:
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
    if answer.length:  # what http.client still waits for
        raise OSError("the connection was cut")
