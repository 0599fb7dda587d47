"""Projects: make one, and keep it in sync with its folder on a runtime."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from colab_remote.cli.output import facts_of, output, reports, visible
from colab_remote.cli.tables import columns

if TYPE_CHECKING:
    from colab_remote.laptop.sync.reconcile import Side

_FOLDER = click.Path(path_type=Path, file_okay=False)
_THERE = click.Path(path_type=Path, file_okay=False, exists=True)


@click.command()
@reports
def templates() -> None:
    """The bundled templates."""
    from colab_remote.laptop.templates import all_templates

    found = all_templates()
    rows = [(template.name, template.line) for template in found]
    output().report({"templates": [asdict(template) for template in found]}, columns(rows))


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--template", default="pytorch", show_default=True, help="Which: `colab-remote templates` lists them.")
@click.option("--name", help="The project's name, FOLDER's own where it is left out.")
@reports
def new(folder: Path, template: str, name: str | None) -> None:
    """A project from a template, in a new or empty FOLDER."""
    from colab_remote.laptop.project import check_name, safe_name
    from colab_remote.laptop.templates import make_project

    project = check_name(name) if name is not None else safe_name(folder.resolve().name)
    make_project(folder, template, project)
    lines = (f"project  {visible(project)} · template {template} · {visible(str(folder))}",)
    output().report({"project": project, "folder": str(folder.absolute()), "template": template}, lines)
    output().say(f"\nhint: `cd {visible(str(folder))}`, then `colab-remote train`")


@click.command()
@click.argument("folder", type=_THERE, default=".")
@reports
def init(folder: Path) -> None:
    """Make an existing folder a project: write its colab-remote.toml."""
    from colab_remote.laptop.templates import init_project

    settings = init_project(folder)
    output().report({"settings": str(settings.absolute())}, (f"wrote {visible(str(settings))}",))
    output().say("\nhint: say in it how the project trains, then `colab-remote train`")


@click.command()
@click.argument("folder", type=_THERE, default=".")
@click.option("--host", "host_name", help="The host; the project's, or the only one, where it is left out.")
@click.option("--dry-run", is_flag=True, help="Say what would happen; touch nothing.")
@click.option("-v", "--verbose", is_flag=True, help="Name every file, and what is ignored where it is a dry run.")
@click.option("--prefer", type=click.Choice(["local", "remote"]), help="Whose version wins a conflict.")
@click.option("--adopt", is_flag=True, help="Merge with a folder on the runtime that is not this project's yet.")
@click.option("--watch", is_flag=True, help="Go on: what changes on either side travels as it happens.")
@reports
def sync(
    folder: Path,
    host_name: str | None,
    dry_run: bool,
    verbose: bool,
    prefer: Side | None,
    adopt: bool,
    watch: bool,
) -> int:
    """Make a project and its folder on the runtime equal.

    What changed on one side goes to the other. What changed on both is a conflict: neither is touched, exit code 3.
    """
    from colab_remote.cli.metering import month_line
    from colab_remote.cli.syncing import conflicts, document, failures, ignored, keep_in_sync, moves, summary, tells
    from colab_remote.laptop.hosts import choose_host
    from colab_remote.laptop.project import remember_host, remembered_host, require_project
    from colab_remote.laptop.reach import reach
    from colab_remote.laptop.sync import synchronize

    if watch and dry_run:
        raise click.UsageError("--watch and --dry-run exclude each other")
    project = require_project(folder)
    host = choose_host(host_name, remembered_host(project))
    if watch:
        keep_in_sync(project, host, prefer, adopt, verbose)
    with reach(host, output().timeout, output().say) as connection, tells() as progress:
        report = synchronize(
            project,
            connection.open_agent(),
            host.ticket.workdir,
            host.name,
            prefer=prefer,
            adopt=adopt,
            dry_run=dry_run,
            progress=progress,
        )
    if not dry_run:
        remember_host(project, host.name)
    error = conflicts(report, host.name, dry_run) if report.conflicts else None
    if error and not dry_run:
        raise error
    if report.failed and not dry_run:
        raise failures(report)
    lines = [summary(report), *(moves(report) if verbose or dry_run else ()), *(ignored(report) if verbose else ())]
    failure = {"error": facts_of(error)} if error else {}
    output().report({"host": host.name, **document(report), **failure}, lines)
    if error and not output().json:
        raise error
    if not dry_run:
        output().say(month_line(host, project.budget))
    return error.exit_code if error else 0
