"""Contact that is lost comes back by itself, or is given up in time and with a reason."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from bad_network import BadNetwork
from log_storm import LogStorm
from sides import PATIENCE, Laptop, Runtime, started_sshd, until


def log(laptop: Laptop) -> str:
    return (laptop.home / ".local" / "state" / "colab-remote" / "log" / "colab").read_text()


def through(runtime: Runtime, port: int) -> str:
    return runtime.ticket.replace(f":{runtime.port}/", f":{port}/")


@pytest.fixture
def network(runtime: Runtime, laptop: Laptop) -> Iterator[BadNetwork]:
    """The way from the laptop to `colab`, with a warm line on it."""
    runtime.admit(laptop.public_line())
    with BadNetwork(("127.0.0.1", runtime.port)) as network:
        assert laptop("connect", through(runtime, network.port), "--open", "none").returncode == 0
        assert laptop("jobs").returncode == 0
        yield network


def test_a_cut_line_is_back_before_anybody_asks(laptop: Laptop, network: BadNetwork) -> None:
    network.cut()
    until(lambda: log(laptop).count("connected to") == 2, "no contact again")
    assert "contact was lost" in log(laptop)
    assert laptop("jobs").returncode == 0
    assert len(laptop.lines()) == 1


def test_a_command_that_asks_before_the_line_has_noticed_does_not_keep_it_from_coming_back(
    laptop: Laptop, network: BadNetwork
) -> None:
    network.down()  # sooner than the line first looks
    assert laptop("--timeout", "1", "jobs").returncode == 0
    network.up()
    until(lambda: log(laptop).count("connected to") == 2, "no contact again")


def test_what_goes_up_goes_on_after_the_network_stood_still(laptop: Laptop, runtime: Runtime) -> None:
    runtime.admit(laptop.public_line())
    arrived = 0
    with (
        BadNetwork(("127.0.0.1", runtime.port), delay=0.025, rate=2_000_000) as network,
        socket.create_server(("127.0.0.1", 0)) as sink,
    ):
        assert laptop("connect", through(runtime, network.port), "--open", "none").returncode == 0

        def take() -> None:
            nonlocal arrived
            with sink.accept()[0] as stream:
                while data := stream.recv(1 << 18):
                    arrived += len(data)

        threading.Thread(target=take, daemon=True).start()
        port = str(sink.getsockname()[1])
        with subprocess.Popen([sys.executable, "-c", _PUSHING, port], env=laptop.env) as pushing:
            until(lambda: arrived > 12_000_000)
            network.freeze()
            time.sleep(6)
            network.thaw()
            before = arrived
            time.sleep(4)
            pushing.kill()
    assert arrived > before + 2_000_000, "it waited once more as long as the network had"


_PUSHING = """
import sys
from colab_remote.laptop.hosts import load_host
from colab_remote.laptop.reach import reach
with reach(load_host("colab")) as way:
    stream = way.open_port(int(sys.argv[1]))
    while True:
        stream.sendall(bytes(1 << 15))
"""


def test_a_command_asks_at_once(laptop: Laptop, network: BadNetwork) -> None:
    for _ in range(3):
        network.cut()
        done = laptop("status")
        # The line may learn of the cut only by this command's own request.
        assert done.returncode == 0 or "contact with `colab` was lost" in done.stderr
    assert laptop("status").returncode == 0


def test_a_job_is_followed_across_cuts(laptop: Laptop, network: BadNetwork) -> None:
    with laptop.started("run", "--", "for i in 1 2 3 4; do echo $i; sleep 0.5; done") as following:
        assert following.stdout
        assert following.stdout.readline() == "1\n"
        network.cut()
        assert following.stdout.readline() == "2\n"
        network.cut()
        # `communicate` would pass over what lies buffered behind the line that was read.
        assert following.stdout.read() == "3\n4\n"
        assert following.wait(PATIENCE) == 0
    assert len(laptop.lines()) == 1


def test_a_log_comes_home_whole_whatever_is_cut(laptop: Laptop, runtime: Runtime) -> None:
    with BadNetwork(("127.0.0.1", runtime.port)) as network:
        LogStorm(laptop, runtime, network, seed=8).round(cuts=6)
        laptop.end_lines()


def test_a_command_that_waits_says_for_what_and_gives_up(laptop: Laptop, network: BadNetwork) -> None:
    network.down()
    until(lambda: "contact was lost" in log(laptop), "not noticed")
    done = laptop("--timeout", "2.5", "status")
    assert (done.returncode, done.stdout) == (4, "")
    assert re.match(r"waiting  .*hung up; trying again\nerror: ", done.stderr), done.stderr
    assert "\n\nhint: " in done.stderr


def test_a_command_that_waits_goes_on_when_contact_is_back(laptop: Laptop, network: BadNetwork) -> None:
    network.down()
    until(lambda: "contact was lost" in log(laptop), "not noticed")
    command = laptop.started("status")
    assert command.stderr
    assert command.stderr.readline().startswith("waiting  ")
    network.up()
    said, errors = command.communicate(timeout=PATIENCE)
    assert command.returncode == 0, errors
    assert said.startswith("host ")


def test_a_silent_line_is_noticed_by_who_borrows_it(laptop: Laptop, network: BadNetwork) -> None:
    before = laptop.lines()
    time.sleep(5.2)  # later than that nothing was heard a moment ago
    network.freeze()
    done = laptop("status")
    network.cut()
    network.thaw()
    assert done.returncode == 4
    assert "contact with `colab` was lost" in done.stderr
    assert laptop("status").returncode == 0
    assert laptop.lines() == before, "it seeks contact again, though its last user has gone"


def test_a_line_that_falls_silent_just_before_is_noticed_by_who_borrows_it(laptop: Laptop, network: BadNetwork) -> None:
    assert laptop("status").returncode == 0
    network.freeze()
    with laptop.started("status") as asked:
        said, errors = asked.communicate(timeout=25)  # the line itself would find out in 45 s
    network.cut()
    network.thaw()
    assert (asked.returncode, said) == (4, "")
    assert "contact with `colab` was lost" in errors


def test_a_line_that_slept_finds_the_cut_when_it_wakes(laptop: Laptop, network: BadNetwork) -> None:
    (pid,) = laptop.lines()
    os.kill(pid, signal.SIGSTOP)
    network.cut()
    time.sleep(0.2)
    os.kill(pid, signal.SIGCONT)
    until(lambda: log(laptop).count("connected to") == 2, "no contact again")


def test_a_new_address_is_taken_at_once(laptop: Laptop, network: BadNetwork, runtime: Runtime) -> None:
    with BadNetwork(("127.0.0.1", runtime.port)) as other:
        done = laptop("connect", through(runtime, other.port), "--open", "none", "--replace")
        assert done.returncode == 0, done.stderr
        passed, before = network.passed, other.passed
        assert laptop("jobs").returncode == 0
        assert other.passed > before
        assert network.passed - passed < 1000, "only the old connection's end"
        assert len(laptop.lines()) == 1


def test_another_runtime_at_the_address_is_refused_at_reconnection(laptop: Laptop, tmp_path: Path) -> None:
    with BadNetwork(("127.0.0.1", 1)) as network:
        with started_sshd(tmp_path / "first") as runtime:
            runtime.admit(laptop.public_line())
            network.target = ("127.0.0.1", runtime.port)
            assert laptop("connect", through(runtime, network.port), "--open", "none").returncode == 0
            assert laptop("jobs").returncode == 0
        with started_sshd(tmp_path / "other") as other:
            other.admit(laptop.public_line())
            network.target = ("127.0.0.1", other.port)
            network.cut()
            until(lambda: "another host key" in log(laptop), "not refused")
            done = laptop("status")
    assert (done.returncode, done.stdout) == (5, "")
    assert "  pinned   SHA256:" in done.stderr


def test_idle_it_costs_next_to_nothing(laptop: Laptop, network: BadNetwork) -> None:
    (pid,) = laptop.lines()
    before = -1
    while before != (before := network.passed):  # agents are made ready
        time.sleep(2)
    line = psutil.Process(pid)
    passed, used = network.passed, sum(line.cpu_times()[:2])
    time.sleep(3)
    assert network.passed - passed < 500
    assert sum(line.cpu_times()[:2]) - used < 0.05
