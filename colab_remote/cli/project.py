"""Projects: make one, and keep it in sync with its folder on a runtime."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from colab_remote.cli.output import output, reports, visible
from colab_remote.cli.tables import columns

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
    """Make a folder that is there a project: write its colab-remote.toml."""
    from colab_remote.laptop.templates import init_project

    settings = init_project(folder)
    output().report({"settings": str(settings.absolute())}, (f"wrote {visible(str(settings))}",))
    output().say("\nhint: say in it how the project trains, then `colab-remote train`")
