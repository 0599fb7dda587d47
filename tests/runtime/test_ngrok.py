"""The ngrok tunnel through the real pyngrok, against a stand-in for the agent."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from https_site import Site, ngrok_archive
from hypothesis import given
from hypothesis import strategies as st
from ngrok_account import TOKEN, Agent, runs
from pyngrok.exception import PyngrokNgrokError, PyngrokNgrokHTTPError
from pyngrok.log import NgrokLog
from sides import PATIENCE, free_port, until
from vm import Vm, ours_left

from colab_remote.errors import ColabRemoteError, ProviderRefused
from colab_remote.runtime.tunnels import Plan, ngrok, ngrok_process
from colab_remote.runtime.tunnels.ngrok_codes import MEANINGS, reason, refusal

AT_START = [105, 106, 107, 108, 120, 121, 123, 348, 4018, 9040]

# pyngrok leaves the pipe to its agent to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def plan(agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """What a supervisor hands a tunnel, in this process."""
    for name, value in agent.environment.items():
        monkeypatch.setenv(name, value)
    state = tmp_path / "state dir"
    state.mkdir(mode=0o700)
    return Plan(state, TOKEN, None, "127.0.0.1")


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of somebody who answers with what was said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _echo(server: socket.socket) -> None:
    while True:
        try:
            there, _ = server.accept()
        except OSError:
            return
        with there, suppress(OSError):
            there.sendall(there.recv(100))


def answers(tunnel: ngrok.Ngrok) -> bool:
    host, port = tunnel.address.host, tunnel.address.port
    assert port
    with socket.create_connection((host, port), PATIENCE) as there:
        there.sendall(b"hello")
        return there.recv(100) == b"hello"


def refused(plan: Plan) -> ColabRemoteError:
    with pytest.raises(ColabRemoteError) as caught:
        ngrok.open_tunnel(22, plan)
    assert TOKEN not in caught.value.message + caught.value.hint
    assert not list(plan.state.iterdir())
    return caught.value


@pytest.mark.parametrize("code", [*MEANINGS, 31415])
def test_every_code_is_told_with_what_to_do(agent: Agent, plan: Plan, code: int, capfd: Any) -> None:
    agent.mood(**{"start" if code in AT_START else "endpoint": code})
    error = refused(plan)
    assert isinstance(error, ProviderRefused)
    assert f"(ERR_NGROK_{code})" in error.message
    assert error.hint.endswith(f"https://ngrok.com/docs/errors/err_ngrok_{code}")
    assert (MEANINGS.get(code) or ("ngrok refuses the tunnel",))[0] in error.message
    assert TOKEN not in "".join(capfd.readouterr())


@pytest.mark.parametrize("code", [302, 8013])
def test_a_missing_card_names_the_other_tunnels(code: int) -> None:
    error = refusal(f"ERR_NGROK_{code}")
    assert "verified card" in error.message
    assert "`direct`" in error.hint


def test_bytes_go_through_and_nothing_is_left(agent: Agent, plan: Plan, echo: int) -> None:
    tunnel = ngrok.open_tunnel(echo, plan)
    assert answers(tunnel)
    assert tunnel.alive()
    assert (plan.state / "ngrok.yml").stat().st_mode & 0o777 == 0o600
    tunnel.close()
    assert not tunnel.alive()
    tunnel.close()
    assert not list(plan.state.iterdir())
    assert not agent.running()


def test_a_region_reaches_the_agent(agent: Agent, plan: Plan) -> None:
    ngrok.open_tunnel(22, Plan(plan.state, TOKEN, "ap", "0.0.0.0")).close()
    assert agent.starts()[0]["argv"][-2:] == ["--region", "ap"]


@pytest.mark.parametrize("mood", ["silent", "deaf"])
def test_an_agent_that_says_nothing_is_given_up(
    agent: Agent, plan: Plan, mood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngrok_process, "PATIENCE", 1.5)
    agent.mood(start=mood)
    assert "does not get anywhere" in refused(plan).message
    assert not agent.running()


def test_bytes_that_are_no_text_are_an_error_like_any_other(agent: Agent, plan: Plan) -> None:
    agent.mood(start="odd")
    assert "ngrok's agent failed" in refused(plan).message


def test_a_program_that_is_no_agent_is_named(agent: Agent, plan: Plan) -> None:
    (agent.folder / "ngrok").write_bytes(b"\x7fELF, but not really")
    assert str(agent.folder / "ngrok") in refused(plan).message


def test_a_changed_address_is_followed(agent: Agent, plan: Plan, echo: int) -> None:
    tunnel = ngrok.open_tunnel(echo, plan)
    first = tunnel.address
    agent.mood(later="moved")
    until(lambda: tunnel.alive() and tunnel.address != first)
    assert answers(tunnel)
    tunnel.close()


def test_a_session_that_was_refused_is_lost_for_good(agent: Agent, plan: Plan) -> None:
    tunnel = ngrok.open_tunnel(22, plan)
    assert tunnel.alive()
    agent.mood(later="refused")
    until(lambda: not tunnel.alive())
    tunnel.close()


def test_a_session_that_was_lost_has_some_time_to_come_back(
    agent: Agent, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngrok, "_LOOK", 0.1)
    tunnel = ngrok.open_tunnel(22, plan)
    agent.mood(later="lost")
    until(lambda: tunnel.alive() and not tunnel.session)
    monkeypatch.setattr(ngrok, "_RECONNECT", 0.5)
    until(lambda: not tunnel.alive())
    tunnel.close()


def test_refusals_over_and_over_cost_nothing(agent: Agent, plan: Plan) -> None:
    agent.mood(start=108)
    counts = []
    for _ in range(3):
        refused(plan)
        gc.collect()
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[0] == counts[-1]


def test_an_agent_left_over_is_ended(agent: Agent, plan: Plan) -> None:
    left = ngrok.open_tunnel(22, plan)
    tunnel = ngrok.open_tunnel(22, plan)
    assert not left.alive()
    assert agent.running() == [agent.starts()[-1]["pid"]]
    assert tunnel.alive()
    tunnel.close()


def test_a_recorded_pid_that_is_anothers_by_now_is_left_alone(agent: Agent, plan: Plan) -> None:
    tunnel = ngrok.open_tunnel(22, plan)
    record = json.loads((plan.state / "ngrok.json").read_text())
    tunnel.close()
    with subprocess.Popen(["sleep", "60"]) as bystander:
        (plan.state / "ngrok.json").write_text(json.dumps({**record, "pid": bystander.pid}))
        ngrok.open_tunnel(22, plan).close()
        assert bystander.poll() is None
        bystander.kill()


def test_a_laptop_comes_in_through_the_tunnel_and_the_token_is_nowhere(agent: Agent, vm: Vm) -> None:
    document = vm.up("--tunnel", "ngrok", **agent.environment)
    assert document["tunnel"] == "ngrok"
    vm.connect(document["ticket"])
    done = vm.laptop("run", "--", "echo through")
    assert (done.returncode, done.stdout) == (0, "through\n"), done.stderr
    seen = b"".join(path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    assert b"ngrok.yml" in seen
    assert TOKEN.encode() not in seen
    for path in vm.user.home.rglob("*"):
        if path.is_file() and TOKEN.encode() in path.read_bytes():
            assert (path.name, path.stat().st_mode & 0o777) == ("ngrok.yml", 0o600)
    assert vm.shutdown().returncode == 0
    assert not agent.running()
    assert not list(vm.state.glob("ngrok.*"))


def test_auto_is_ngrok_and_its_refusal_is_exit_code_6(agent: Agent, vm: Vm) -> None:
    agent.mood(start=105)
    done = vm.launch("--tunnel", "auto", **agent.environment)
    assert done.returncode == 6
    assert "ERR_NGROK_105" in done.stderr
    assert "hint: copy it again" in done.stderr
    assert not ours_left(vm)
    assert TOKEN not in done.stderr + (vm.state / "supervisor.log").read_text()


def test_without_a_token_it_is_refused_before_anything_starts(agent: Agent, vm: Vm) -> None:
    done = vm.launch("--tunnel", "ngrok", **{**agent.environment, "NGROK_AUTHTOKEN": ""})
    assert done.returncode == 2
    assert "NGROK_AUTHTOKEN" in done.stderr
    assert not agent.starts()


def kill(agent: Agent) -> None:
    os.kill(agent.running()[0], signal.SIGKILL)


def refuse_session(agent: Agent) -> None:
    agent.mood(later="refused")


@pytest.mark.parametrize("end", [kill, refuse_session])
def test_a_lost_tunnel_is_opened_again_its_address_told_and_a_job_goes_on(
    agent: Agent, vm: Vm, end: Callable[[Agent], None]
) -> None:
    first = vm.up("--tunnel", "ngrok", **agent.environment)
    vm.connect(first["ticket"])
    job = vm.laptop("run", "--detach", "--", "sleep 2; echo survived")
    assert job.returncode == 0, job.stderr
    end(agent)
    until(lambda: vm.record()["address"]["port"] != first["port"] and not vm.record()["trouble"])
    second = vm.up("--tunnel", "ngrok", **agent.environment)
    assert second["pid"] == first["pid"]
    assert second["ticket"] != first["ticket"]
    assert len(agent.running()) == 1
    vm.connect(second["ticket"])
    done = vm.laptop("logs", "-f", job.stdout.strip())
    assert (done.returncode, done.stdout) == (0, "survived\n"), done.stderr


def test_without_its_folder_nothing_runs_on(agent: Agent, vm: Vm) -> None:
    document = vm.up("--tunnel", "ngrok", **agent.environment)
    sshd = vm.record()["sshd"]
    shutil.rmtree(vm.state)
    until(lambda: not runs(document["pid"]))
    assert not runs(sshd)
    assert not agent.running()
    assert not vm.state.exists()


def test_a_tunnel_that_does_not_come_back_is_told_and_tried_on(agent: Agent, vm: Vm) -> None:
    first = vm.up("--tunnel", "ngrok", **agent.environment)
    agent.mood(start=108)
    kill(agent)
    until(lambda: "ERR_NGROK_108" in vm.record()["trouble"])
    done = vm.launch("--tunnel", "ngrok", **agent.environment)
    assert (done.returncode, vm.record()["pid"]) == (0, first["pid"])
    assert "ERR_NGROK_108" in done.stderr
    agent.mood()
    until(lambda: not vm.record()["trouble"])
    vm.connect(vm.up("--tunnel", "ngrok", **agent.environment)["ticket"])


def test_a_killed_supervisors_agent_is_ended_by_the_next_launch(agent: Agent, vm: Vm) -> None:
    first = vm.up("--tunnel", "ngrok", **agent.environment)
    (left,) = agent.running()
    sshd = vm.record()["sshd"]
    os.kill(first["pid"], signal.SIGKILL)
    until(lambda: not runs(first["pid"]))
    assert runs(left)
    vm.up("--tunnel", "ngrok", **agent.environment)
    assert not runs(left)
    assert len(agent.running()) == 1
    assert not runs(sshd)


def test_a_killed_supervisors_children_are_ended_by_shutdown(agent: Agent, vm: Vm) -> None:
    first = vm.up("--tunnel", "ngrok", **agent.environment)
    left = [*agent.running(), vm.record()["sshd"]]
    os.kill(first["pid"], signal.SIGKILL)
    until(lambda: not runs(first["pid"]))
    assert vm.shutdown().returncode == 0
    assert not any(map(runs, left))


def test_an_agent_that_is_missing_is_downloaded_whole(agent: Agent, vm: Vm, tmp_path: Path) -> None:
    source = Site(tmp_path, "bin.ngrok.com", ngrok_archive((agent.folder / "ngrok").read_bytes()))
    place = vm.user.home / "new folder" / "ngrok"
    environment = {**agent.environment, **source.environment, "PYNGROK_NGROK_PATH": str(place)}
    document = vm.up("--tunnel", "ngrok", **environment)
    source.close()
    vm.connect(document["ticket"])
    assert vm.shutdown().returncode == 0
    assert {path.name for path in place.parent.iterdir()} == {"ngrok", "agents.jsonl"}
    assert place.stat().st_mode & 0o777 == 0o700


def test_a_download_that_fails_says_what_to_do(agent: Agent, vm: Vm) -> None:
    place = vm.user.home / "new" / "ngrok"
    nowhere = {"https_proxy": f"http://127.0.0.1:{free_port()}", "no_proxy": ""}
    done = vm.launch("--tunnel", "ngrok", **{**agent.environment, **nowhere, "PYNGROK_NGROK_PATH": str(place)})
    assert done.returncode == 1
    assert "ngrok's agent cannot be downloaded: " in done.stderr
    assert "https://ngrok.com/download" in done.stderr
    assert not list(place.parent.iterdir())


def test_an_interrupt_ends_a_launch_that_waits_for_a_silent_agent(agent: Agent, vm: Vm) -> None:
    agent.mood(start="silent")
    key = str(vm.laptop.ours / "id_ed25519.pub")
    vm.user.env.update(agent.environment)
    words = ("launch", "--tunnel", "ngrok", "--state-dir", str(vm.state), "--workdir", str(vm.workdir))
    with vm.user.started(*words, "--authorized-key", key) as launching:
        until(lambda: (vm.state / "ngrok.json").exists())
        launching.send_signal(signal.SIGINT)
        launching.communicate(timeout=PATIENCE)
    assert launching.returncode == 130
    until(lambda: not agent.running())
    assert not ours_left(vm)


SAID = st.text() | st.from_regex(r"ERR_NGROK_\d+")


@given(SAID, SAID, SAID, st.text())
def test_whatever_ngrok_says_is_an_error_of_ours(said: str, body: str, line: str, token: str) -> None:
    at_start = PyngrokNgrokError(said, [NgrokLog(line)], body)
    of_api = PyngrokNgrokHTTPError(said, "http://127.0.0.1", 502, None, {}, body)
    for error in (refusal(said, token), reason(at_start, token), reason(of_api, token, 20.0)):
        assert error.message.isprintable()
        assert error.hint


@pytest.mark.parametrize(
    "url", ["tcp://<script>:1", "tcp://-oProxyCommand=x:1", "https://a/b", "tcp://a\n:1", "tcp://a"]
)
def test_a_hostile_address_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="is no address of a tunnel"):
        ngrok.address_of({"url": url})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.from_regex(r"tcp://.*:\d+"),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["url", "public_url", "name"]), inner),
)


@given(JSON)
def test_whatever_the_agent_answers_is_an_address_or_an_error_of_ours(answer: Any) -> None:
    try:
        address = ngrok_process.within(5, Plan(Path("/nowhere"), TOKEN, None, ""), lambda: ngrok.address_of(answer))
    except ColabRemoteError:
        return
    assert address.host.isascii()


def test_where_tcp_needs_a_card_the_laptop_comes_in_through_https(agent: Agent, vm: Vm) -> None:
    agent.mood(tcp=8013)
    done = vm.launch("--tunnel", "auto", **agent.environment)
    assert done.returncode == 0, done.stderr
    assert "TCP needs a card on this account (ERR_NGROK_8013)" in done.stdout
    document = vm.up("--tunnel", "auto", **agent.environment)
    assert document["ticket"].startswith("ws://")
    assert len(agent.running()) == 1
    vm.connect(document["ticket"])
    assert vm.laptop("run", "--", "echo over https").stdout == "over https\n"
    data = "".join(chr(33 + n % 90) for n in range(300_000))
    done = vm.laptop("ssh", "--", "cat", stdin=data)
    assert done.returncode == 0, done.stderr
    assert done.stdout == data


def test_a_tunnel_that_was_named_is_never_another(agent: Agent, vm: Vm) -> None:
    agent.mood(tcp=8013)
    done = vm.launch("--tunnel", "ngrok", **agent.environment)
    assert done.returncode == 6
    assert "`ngrok-http`" in done.stderr


def test_the_accounts_one_domain_in_use_elsewhere_is_said(agent: Agent, vm: Vm) -> None:
    agent.mood(https=334)
    done = vm.launch("--tunnel", "ngrok-http", **agent.environment)
    assert done.returncode == 6
    assert "another runtime uses the ngrok account's one address (ERR_NGROK_334)" in done.stderr
    assert "Disconnect and delete runtime" in done.stderr


def test_a_killed_agent_comes_back_with_its_bridge(agent: Agent, vm: Vm) -> None:
    vm.up("--tunnel", "ngrok-http", **agent.environment)
    first = vm.record()["address"]
    kill(agent)
    until(lambda: vm.record()["address"] != first and not vm.record()["trouble"])
    document = vm.up("--tunnel", "ngrok-http", **agent.environment)
    vm.connect(document["ticket"])
