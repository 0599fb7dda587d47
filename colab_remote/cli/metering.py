"""How a month's traffic looks, and what waits for the next one."""

from __future__ import annotations

from colab_remote.cli.output import visible
from colab_remote.cli.tables import amount
from colab_remote.laptop.hosts import Host, tunnel
from colab_remote.laptop.meter import METERED, UNMETERED, Allowance, budget_of, month_until_now


def month_line(host: Host, budget: str = "auto") -> str:
    """`month    84 MB of about 1.0 GB through ngrok`."""
    return f"month    {month(host, budget)}"


def month(host: Host, budget: str = "auto") -> str:
    """What went through the host's tunnel this month, and what it may be."""
    kind = tunnel(host.ticket)
    total = budget_of(budget, kind)
    about = "about " if budget == "auto" else ""
    limit = f" of {about}{amount(total)}" if total is not None else ""
    return f"{amount(month_until_now(host).both)}{limit} through {kind}"


def waiting_lines(rest: Allowance, host: Host) -> list[str]:
    """Name the outputs that are more than what is left of the month's budget, and say what can be done."""
    if not rest.waiting:
        return []
    lines = [visible(f"waits    {path}  {amount(size)}") for path, size in sorted(rest.waiting.items())]
    kind = tunnel(host.ticket)
    why = f"more than the {amount(rest.left or 0)} that this month's budget still has"
    other = f"; {UNMETERED}" if kind in METERED else ""
    return [*lines, f"\nhint: {why}: `colab-remote pull --force` brings it all the same{other}"]
