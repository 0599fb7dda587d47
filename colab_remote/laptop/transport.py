"""paramiko's Transport, which takes a change of keys for the answer to a global request."""

from __future__ import annotations

import threading
from typing import Any

import paramiko

_LOOK = 0.1  # seconds between two looks whether the connection is over


class Transport(paramiko.Transport):
    """One that tells the two apart."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._answered = threading.Event()
        super().__init__(*arguments, **options)

    def ask(self, what: str) -> None:
        """Make a global request, one at a time; returns when it was answered or refused, or the connection is over."""
        self._answered.clear()
        self.global_request(what, wait=True)
        while self.is_active() and not self._answered.wait(_LOOK):
            pass

    def _parse_request_success(self, message: paramiko.Message) -> None:
        super()._parse_request_success(message)  # type: ignore[misc]
        self._answered.set()

    def _parse_request_failure(self, message: paramiko.Message) -> None:
        super()._parse_request_failure(message)  # type: ignore[misc]
        self._answered.set()
