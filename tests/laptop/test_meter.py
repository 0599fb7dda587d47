"""Bytes by host, tunnel and month, and what a budget leaves of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sides import PATIENCE

from colab_remote.laptop.hosts import Host
from colab_remote.laptop.meter import Allowance, Traffic, allowance, budget_of, meter, metered, month_of
from colab_remote.ticket import parse_ticket

MARCH, APRIL = 1_772_700_000.0, 1_775_400_000.0


@pytest.fixture(autouse=True)
def a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLAB_REMOTE_HOME", str(tmp_path))


def test_a_months_bytes_are_kept_by_host_and_by_tunnel() -> None:
    meter("colab", "ngrok", Traffic(1, 2), MARCH)
    meter("colab", "ngrok-http", Traffic(10, 20), MARCH)
    meter("colab", "relay", Traffic(100, 200), MARCH)
    meter("lab", "ngrok", Traffic(1000, 2000), MARCH)
    assert metered("colab", MARCH) == Traffic(111, 222)
    assert month_of("ngrok", MARCH) == Traffic(1011, 2022), "one account is behind both of ngrok's ways"
    assert month_of("relay", MARCH) == Traffic(100, 200)
    assert month_of("ngrok", APRIL) == Traffic()


COUNT = f"""
from colab_remote.laptop.meter import Traffic, meter
for _ in range(10):
    meter("colab", "ngrok", Traffic(1, 2), {MARCH})
"""


def test_commands_that_end_at_once_are_all_counted() -> None:
    commands = [subprocess.Popen([sys.executable, "-c", COUNT]) for _ in range(4)]
    assert [command.wait(PATIENCE) for command in commands] == [0] * 4
    assert metered("colab", MARCH) == Traffic(40, 80)


@pytest.mark.parametrize("damaged", ["", "[]", '{"format": 1, "up": "x", "tunnels": []}', '{"format": 1, "down": {}}'])
def test_a_damaged_record_begins_anew(tmp_path: Path, damaged: str) -> None:
    meter("colab", "ngrok", Traffic(1, 2), MARCH)
    (record,) = tmp_path.rglob("colab-*.json")
    record.write_text(damaged)
    meter("colab", "ngrok", Traffic(3, 4), MARCH)
    assert metered("colab", MARCH) == Traffic(3, 4)


def test_a_budget_is_the_tunnels_own_or_what_the_project_says() -> None:
    assert budget_of("auto", "relay") is None
    assert budget_of("auto", "ngrok") == budget_of("1GB", "ngrok") == 10**9
    assert budget_of("1.5 kB", "relay") == 1500
    host = Host("lab", parse_ticket(f"ssh://me@localhost:7001/content?via=me@vps:22#SHA256:{'q' * 43}"), Path("key"))
    meter("colab", "relay", Traffic(300, 700))
    assert allowance("1.5kB", host).left == 500
    assert allowance("1kB", host).left == 0
    assert allowance("auto", host).left is None


def test_what_does_not_fit_waits_and_smaller_ones_go_on() -> None:
    rest = Allowance(10)
    assert [rest.admits("a", 6, 6), rest.admits("b", 6, 6), rest.admits("c", 4, 4)] == [True, False, True]
    assert (rest.left, rest.waiting) == (0, {"b": 6})


def test_a_part_of_what_does_not_fit_waits_with_the_rest() -> None:
    rest = Allowance(10)
    assert not rest.admits("a", 6, 12)
    assert (rest.left, rest.waiting) == (10, {"a": 6})
