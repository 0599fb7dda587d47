"""Public-key authentication in one round trip where paramiko takes two."""

from __future__ import annotations

import threading

import paramiko
from paramiko.auth_handler import AuthHandler


def authenticate(transport: paramiko.Transport, user: str, key: paramiko.PKey) -> None:
    """Log in as `Transport.auth_publickey` does. Raises AuthenticationException, SSHException."""
    answered = threading.Event()
    handler = transport.auth_handler = _Eager(transport)
    handler.auth_publickey(user, key, answered)
    handler.wait_for_response(answered)


class _Eager(AuthHandler):
    """Shows the key right after it has asked whether it may (RFC 4253, 10): sshd takes both in their order."""

    def _request_auth(self) -> None:
        super()._request_auth()  # type: ignore[misc]
        allowed = paramiko.Message()
        allowed.add_string("ssh-userauth")
        allowed.rewind()
        super()._parse_service_accept(allowed)  # type: ignore[misc]

    def _parse_service_accept(self, message: paramiko.Message) -> None:
        """What it would wait for has been done."""
