"""`python -m colab_remote` is `colab-remote`."""

from __future__ import annotations

import gc
import sys

_SELDOM = 100_000  # more objects before Python looks for cycles: imports make half as many, a small sync the rest

TYPE_CHECKING = False  # type checkers know it: until `main` has begun, Ctrl-C would leave a traceback
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; Ctrl-C while it is still being imported leaves no traceback."""
    gc.set_threshold(_SELDOM)
    try:
        from colab_remote import cli

        cli.main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
