"""All that may reach a user. Each class is one exit code of the contract."""

from __future__ import annotations

GONE = "the cell has stopped, or the VM is gone: run the cell again, then `connect` the ticket that it shows"


class ColabRemoteError(Exception):
    """What happened and to what (`message`), and what to do next (`hint`, may be empty)."""

    code = "failed"
    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def _render_traceback_(self) -> list[str]:
        # What IPython prints in place of a traceback.
        return [f"error: {self.message}", *(("", f"hint: {self.hint}") if self.hint else ())]


class Unsynced(ColabRemoteError):
    """Files that could not be read or written were left out of a sync."""

    code = "unsynced"


class Refused(ColabRemoteError):
    """Wrong usage, or refused to be safe."""

    code = "refused"
    exit_code = 2


class Conflicts(ColabRemoteError):
    """Files changed on both sides."""

    code = "conflicts"
    exit_code = 3


class Unreachable(ColabRemoteError):
    """The runtime cannot be reached."""

    code = "unreachable"
    exit_code = 4


class WrongRuntime(ColabRemoteError):
    """The runtime is not the one that was pinned."""

    code = "wrong-runtime"
    exit_code = 5


class ProviderRefused(ColabRemoteError):
    """The tunnel's provider said no."""

    code = "provider-refused"
    exit_code = 6


class NotStarted(ColabRemoteError):
    """We failed before the job began."""

    code = "not-started"
    exit_code = 125


class ContactLost(ColabRemoteError):
    """Contact was lost for good; a job may still be running."""

    code = "contact-lost"
    exit_code = 255


_KINDS: dict[str, type[ColabRemoteError]] = {kind.code: kind for kind in ColabRemoteError.__subclasses__()}


def kind_of(code: object) -> type[ColabRemoteError]:
    """The class that has that code, for an error that another process of ours has told."""
    return _KINDS.get(str(code), ColabRemoteError)
