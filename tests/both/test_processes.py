"""Signals to processes that are another user's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

AS_NOBODY = """
import os, sys
from colab_remote.both.processes import signal_group
os.setuid(65534)
print(signal_group(int(sys.argv[1]), 0))
"""


def test_a_group_of_another_user_is_there_though_no_signal_reaches_it() -> None:
    if os.geteuid():
        pytest.skip("another user needs root")
    said = subprocess.run([sys.executable, "-c", AS_NOBODY, str(os.getpgrp())], capture_output=True, text=True)
    assert said.stdout == "True\n", said.stderr
