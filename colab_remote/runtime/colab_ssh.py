"""The functions of colab-ssh, with its signatures: a notebook that was written for it changes one import."""

from __future__ import annotations

from typing import NoReturn

from colab_remote.errors import Refused
from colab_remote.runtime import Runtime, launch
from colab_remote.runtime.display import say
from colab_remote.runtime.keys import authorized_keys
from colab_remote.runtime.supervisor import LOG


def launch_ssh(
    token: str | None,
    password: str = "",
    publish: bool = True,
    verbose: bool = False,
    region: str = "us",
    remote_addr: str | None = None,
) -> Runtime:
    """`launch` through ngrok, for a notebook that was written for colab-ssh; prints HostName, User and Port too.

    The public key is the Colab secret `SSH_PUBLIC_KEY`, else the environment; `password` and `remote_addr` are ignored,
    which is said. An empty `token` is looked up as `launch` does, an empty `region` is ngrok's choice, `verbose` names
    the log, and `publish` does nothing, as it did there. Raises ColabRemoteError.
    """
    keys = _keys(password)
    if remote_addr:
        say(f"`remote_addr={remote_addr!r}` is ignored: ngrok chooses the address, and the ticket says which it is")
    runtime = launch("ngrok", authtoken=token or None, authorized_keys=keys, region=region or None)
    return _told(runtime, verbose)


def launch_ssh_cloudflared(
    password: str = "", verbose: bool = False, prevent_interrupt: bool = False, kill_other_processes: bool = True
) -> Runtime:
    """`launch` through Cloudflare's quick tunnel, for such a notebook; `cloudflared` must be on this machine.

    `prevent_interrupt` keeps the cell running, as `wait` of `launch` does; `kill_other_processes` is ignored: an
    earlier launch is replaced. Raises ColabRemoteError.
    """
    keys = _keys(password)
    return _told(launch("cloudflared", authorized_keys=keys, wait=prevent_interrupt), verbose)


def init_git(
    repository_url: str,
    branch: str | None = None,
    personal_token: str | None = None,
    email: str | None = None,
    username: str | None = None,
    cloudflared: bool = False,
    verbose: bool = False,
) -> NoReturn:
    """Only says what replaces it. Raises Refused."""
    raise Refused(
        "nothing is cloned here: your repository stays on your laptop, and so do your git name and token",
        "in the repository there, after `colab-remote connect`, `colab-remote sync` brings it here and edits back; "
        "a repository that you only read can be cloned in a cell: !git clone URL",
    )


def init_git_cloudflared(
    repository_url: str,
    branch: str | None = None,
    personal_token: str | None = None,
    email: str | None = None,
    username: str | None = None,
    *,
    cloudflared: bool = True,
    verbose: bool = False,
) -> NoReturn:
    """Only says what replaces it, as `init_git` does. Raises Refused."""
    init_git(repository_url, branch, personal_token, email, username, cloudflared, verbose)


def _keys(password: str) -> tuple[str, ...]:
    keys = authorized_keys(None)
    if password:
        say("the password is ignored: nobody logs in with one here, your public key does")
    return keys


def _told(runtime: Runtime, verbose: bool) -> Runtime:
    say(f"For an SSH configuration that you write by hand:\n\n{runtime.ssh_config}")
    if verbose:
        say(f"the log is in `{runtime.state / LOG}`")
    return runtime
