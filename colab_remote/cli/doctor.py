"""What works, and what to do about what does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import click

from colab_remote.cli.output import facts_of, output, reports, visible
from colab_remote.laptop.doctor import Step, look_around, walk
from colab_remote.laptop.hosts import load_host


@click.command()
@click.argument("host", required=False)
@reports
def doctor(host: str | None) -> int:
    """What works here, and what to do about what does not.

    With HOST the way there, a step at a time, with the time that each took; where one fails, its exit code.
    """
    steps: list[Step] = []
    ours = output()  # a step may end in a thread of the connection's, which does not know the command

    def show(step: Step) -> None:
        steps.append(step)
        if not ours.json:
            ours.report({}, _lines(step))

    error = None
    if host:
        error = walk(load_host(host), ours.timeout, show)
    else:
        for step in look_around():
            show(step)
    if ours.json:
        failure = {"error": facts_of(error)} if error else {}
        ours.report({"host": host, "steps": [asdict(step) for step in steps], **failure}, ())
    return error.exit_code if error else 0


def _lines(step: Step) -> Iterator[str]:
    took = "" if step.seconds is None else f"{step.seconds * 1000:.0f} ms"
    first, *more = visible(step.found).splitlines() or [""]
    yield f"{step.name:<11}{first:<40}  {took}".rstrip()
    yield from more
    if step.hint:
        yield f"hint: {visible(step.hint)}"
