"""A project kept in sync beside an editor that is open on the runtime, in a process of its own.

`python -m colab_remote.laptop.sync.beside ROOT HOST PATIENCE` does so until no editor has been seen there for that many
seconds. It borrows from the host's line as a command does.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from pathlib import Path

from colab_remote.errors import ColabRemoteError, Refused
from colab_remote.laptop.background import start_background
from colab_remote.laptop.editors import EDITORS
from colab_remote.laptop.lock import hold
from colab_remote.laptop.project import OURS, Project, load_project
from colab_remote.laptop.sync import Options, Report
from colab_remote.laptop.sync.watch import Editing, Event, watch

_PATIENCE = 180.0  # seconds for an editor to be there, its server being downloaded first, or to be there again


def log_of(host: str) -> str:
    """Where in the project it is written down what is kept in sync with `host`."""
    return f"{OURS}/watch-{host}.log"


def keep_beside(project: Project, host: str, patience: float | None) -> None:
    """Keep the project in sync with `host` from now on, `patience` seconds before an editor is there and after it."""
    start_background("colab_remote.laptop.sync.beside", str(project.root), host, str(patience or _PATIENCE))


def main() -> None:
    """Watch, and write down what happens. Another process that does so already is left to it."""
    project, host, patience = load_project(Path(sys.argv[1])), sys.argv[2], float(sys.argv[3])
    with suppress(Refused), hold(project.root / OURS / f"watching-{host}", patience=0):
        logging.basicConfig(
            filename=project.root / log_of(host), filemode="w", level=logging.INFO, format="%(asctime)s %(message)s"
        )
        editing = Editing([editor.server for editor in EDITORS.values()], patience)
        options = Options(host, prefer=None, adopt=False, dry_run=False, progress=None)
        try:
            for event in watch(project, options, None, editing):
                logging.info("%s", _told(event))
            logging.info("no editor is connected to `%s` any more", host)
        except ColabRemoteError as error:
            logging.error("%s", error.message)


def _told(event: Event) -> str:
    return _did(event.report) if event.report else event.message


def _did(report: Report) -> str:
    deleted = len(report.deleted_here) + len(report.deleted_there)
    conflicts = [f"; conflict: {conflict.path!r}" for conflict in report.conflicts]
    problems = [f"; {path!r} {reason}" for path, reason in report.problems.items()]
    return f"{len(report.up)} up, {len(report.down)} down, {deleted} deleted{''.join([*conflicts, *problems])}"


if __name__ == "__main__":
    main()
