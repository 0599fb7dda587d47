"""A program that SSH goes through ends with the stream, whatever it thinks of that."""

from __future__ import annotations

import psutil
import pytest
from sides import until

from colab_remote.errors import ColabRemoteError, Unreachable
from colab_remote.laptop.program import dial_program


def test_a_program_that_says_nothing_is_ended_though_it_does_not_read() -> None:
    with pytest.raises(Unreachable, match="did not get through"):
        dial_program(["sleep", "600"], 0.2, ColabRemoteError)
    until(lambda: not [each for each in psutil.Process().children() if each.cmdline() == ["sleep", "600"]])


def test_a_program_that_goes_on_is_ended_with_its_stream() -> None:
    stream = dial_program(["sh", "-c", "echo SSH-2.0-here; exec sleep 601"], 20, ColabRemoteError)
    assert stream.recv(100) == b"SSH-2.0-here\n"
    stream.close()
    until(lambda: not [each for each in psutil.Process().children() if each.cmdline() == ["sleep", "601"]])
