"""How long the command line takes to start, against importing click."""

from __future__ import annotations

import sys

from measure import command, medians, table

RUNS = 15


def main() -> None:
    """Print medians, and ratios to `python -c "import click"` of the same run."""
    python = sys.executable
    ways = {
        'python -c "import click"': command(python, "-c", "import click"),
        "colab-remote --help": command(f"{python.rpartition('/')[0]}/colab-remote", "--help"),
        'python -c "import colab_remote"': command(python, "-c", "import colab_remote"),
        'python -c ""': command(python, "-c", ""),
    }
    seconds = medians(list(ways.values()), RUNS)
    rows = [(f"`{name}`", f"{s * 1000:.0f} ms", f"{s / seconds[0]:.2f}") for name, s in zip(ways, seconds, strict=True)]
    table(f"Start-up, medians of {RUNS}", ("command", "time", "against `import click`"), rows)


if __name__ == "__main__":
    main()
