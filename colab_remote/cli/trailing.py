"""Commands that pass words on: `colab-remote ssh -- nvidia-smi`."""

from __future__ import annotations

import click


class Trailing(click.Command):
    """A command whose words after `--` are another's: they are `context.meta["trailing"]`, a tuple."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before the first `--`."""
        ours = args[: args.index("--")] if "--" in args else args
        context.meta["trailing"] = tuple(args[len(ours) + 1 :])
        return super().parse_args(context, ours)
