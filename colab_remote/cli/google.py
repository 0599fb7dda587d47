"""Runtimes through Google's own command line: have one, and end it."""

from __future__ import annotations

import time

import click

from colab_remote.cli.homecoming import arrival_line, unplaced
from colab_remote.cli.hosts import tell_of
from colab_remote.cli.output import output, reports, visible
from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.laptop import google
from colab_remote.laptop.connect import connect, disconnect
from colab_remote.laptop.history import all_known, root_of
from colab_remote.laptop.home import Unplaced
from colab_remote.laptop.hosts import Host, choose_host, host_names, load_host, tunnel
from colab_remote.laptop.keys import own_key, public_line
from colab_remote.laptop.listing import listed
from colab_remote.laptop.outputs import bring_home
from colab_remote.laptop.project import load_project, work_folder
from colab_remote.laptop.reach import reach
from colab_remote.ticket import check_name


@click.command()
@click.option("--gpu", type=click.Choice(google.GPUS, case_sensitive=False), help="The GPU to ask for; none without.")
@click.option("--high-mem", is_flag=True, help="Ask for more memory, which Colab's plans allow.")
@click.option("--name", default="colab", show_default=True, help="What to call it: here, and among Google's sessions.")
@reports
def up(gpu: str | None, high_mem: bool, name: str) -> None:
    """A runtime through Google's own CLI, connected.

    Google's `colab` has to be installed and logged in: `pipx install google-colab-cli`. A session of that name is
    taken where there is one; else a new one is asked for, which may cost compute units until `down` ends it.
    """
    if check_name(name) in host_names() and tunnel(load_host(name).ticket) != "colab":
        raise Refused(
            f"`{name}` is another runtime here", f"`colab-remote disconnect {name}` forgets it, or --name NAME"
        )
    _have_session(name, gpu, high_mem)
    try:
        output().say("launch   on it, which takes a moment")
        key = own_key()
        host, machine = connect(google.launch_there(name, public_line(key)), name, key, timeout=output().timeout)
    except ColabRemoteError:
        output().say(f"the session `{name}` is there and may cost: `colab stop -s {name}` ends it")
        raise
    tell_of(host, machine)


@click.command()
@click.argument("host", required=False)
@reports
def down(host: str | None) -> None:
    """Outputs home, then stop that runtime.

    For one that `up` made. Its jobs have to be over; what is known of it here goes, as with `disconnect`.
    """
    chosen = choose_host(host)
    if tunnel(chosen.ticket) != "colab":
        raise Refused(f"`{chosen.name}` did not come from `up`", f"`colab-remote disconnect {chosen.name}` forgets it")
    session = chosen.ticket.host
    alive, cost = session in google.sessions(), ""
    if alive:
        _need_rest(chosen)
        _bring_outputs(chosen)
        cost = _cost(chosen)
        google.stop_session(session)
    disconnect(chosen.name)
    output().report({"host": chosen.name, "stopped": alive, "cost": cost}, ())
    output().say(f"stopped  {session}" if alive else f"`{session}` was gone already: Google had taken it back")
    if cost:
        output().say(f"cost     {cost}")


def _have_session(name: str, gpu: str | None, high_mem: bool) -> None:
    found = google.sessions().get(name)
    if found is None:
        output().say(f"session  asking Google for `{name}`{f' with a {gpu}' if gpu else ''}")
        google.new_session(name, gpu, high_mem)
    elif gpu and found.upper() != gpu.upper():
        raise Refused(f"the session `{name}` has {_hardware(found)}", "`colab-remote down` ends it, or --name NAME")
    else:
        output().say(f"session  `{name}` is there, with {_hardware(found)}")


def _hardware(gpu: str) -> str:
    return "no GPU" if gpu == "CPU" else f"a {gpu}"


def _need_rest(host: Host) -> None:
    """Raises Refused where jobs run on it, which would end with it."""
    jobs, _ = listed([host], output().timeout)
    running = [job for job in jobs if job.host == host.name and not job.over]
    if running:
        names = ", ".join(f"`{job.name}`" for job in running)
        raise Refused(f"{names} would end with `{host.name}`", f"`colab-remote stop {running[0].id}` ends a job first")


def _bring_outputs(host: Host) -> None:
    """All outputs of the projects that had jobs there. Raises ColabRemoteError where one cannot come."""
    stays: dict[str, str] = {}
    roots = {root_of(job) for job in all_known() if job.host == host.name}
    with reach(host, output().timeout, output().say) as reached:
        for root in sorted(root for root in roots if root):
            project = load_project(root)
            agent = reached.open_agent()
            for coming in bring_home(agent, project, work_folder(host, project), everything=True, say=output().say):
                if isinstance(coming, Unplaced):
                    stays[coming.path] = coming.reason
                else:
                    output().say(visible(arrival_line(coming)))
    if stays:
        raise unplaced(stays)


def _cost(host: Host) -> str:
    """What it took since `up`, where Google's CLI tells: the rate that it knows is that of all sessions."""
    units = google.units()
    if units is None:
        return ""
    left = f"{units.balance:.2f} compute units are left"
    if units.sessions != 1:
        return f"{units.hourly:.2f} compute units an hour for {units.sessions} sessions; {left}"
    hours = (time.time() - host.pinned) / 3600
    return f"about {units.hourly * hours:.2f} compute units since `up`, {units.hourly:.2f} an hour; {left}"
