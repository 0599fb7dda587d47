"""A log as it arrives."""

from __future__ import annotations

import codecs
import sys

from colab_remote.cli.output import output


class Show:
    """Shows a log as it arrives: the job's own bytes, or with --json a line for each piece."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def __call__(self, piece: bytes) -> None:
        if output().json:
            output().report({"log": self._decoder.decode(piece)}, ())
            return
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
