"""`doctor`: each step of the way has its line and its time, and the one that fails its sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sides import Host, Laptop, free_port, started_sshd

from colab_remote.runtime.bridge import Bridge

WAY = ["name", "TCP", "proxy", "SSH banner", "host key", "login", "agent", "python", "GPU", "clock", "disk"]


def names(document: dict[str, Any]) -> list[str]:
    return [step["name"] for step in document["steps"]]


@pytest.fixture
def examined(host: Host) -> Iterator[Laptop]:
    """A laptop that knows a runtime as `colab`, and the same behind a bridge as `web`."""
    bridge = Bridge("127.0.0.1", host.runtime.port)
    ticket = host.runtime.ticket.replace("ssh://", "ws://").replace(f":{host.runtime.port}/", f":{bridge.port}/")
    record = host.laptop.ours / "hosts" / "colab.json"
    (record.parent / "web.json").write_text(record.read_text().replace(host.runtime.ticket, ticket))
    yield host.laptop
    bridge.close()


def test_the_whole_way(examined: Laptop) -> None:
    done = examined("doctor", "colab")
    assert done.returncode == 0, done.stdout
    lines = [line for line in done.stdout.splitlines() if not line.startswith("hint: ")]
    assert [line[:11].strip() for line in lines] == WAY
    assert all(line.endswith(" ms") for line in lines if line[:11].strip() not in ("proxy", "GPU", "clock", "disk"))
    assert "host key   as on the ticket" in done.stdout


def test_the_whole_way_of_a_websocket_in_json(examined: Laptop) -> None:
    done = examined("doctor", "web", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["schema"], document["host"]) == (0, 1, "web")
    assert names(document) == [*WAY[:3], "upgrade", *WAY[3:]]
    assert not any(step["failed"] for step in document["steps"])
    assert all(step["seconds"] >= 0 for step in document["steps"] if step["seconds"] is not None)


def known_as(laptop: Laptop, old: str, new: str) -> None:
    """Let the record of `colab` say `new` where it said `old`."""
    record = laptop.ours / "hosts" / "colab.json"
    text = record.read_text()
    assert old in text
    record.write_text(text.replace(old, new))


def failing(laptop: Laptop, step: str, exit_code: int = 4) -> dict[str, Any]:
    """The last step, which is the one that fails."""
    done = laptop("doctor", "colab", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == document["error"]["exit"] == exit_code
    last: dict[str, Any] = document["steps"][-1]
    assert (last["name"], last["failed"]) == (step, True)
    assert last["found"] == document["error"]["message"]
    assert last["hint"]
    return last


def test_a_name_that_nobody_knows(host: Host) -> None:
    known_as(host.laptop, "@127.0.0.1:", "@no-such-host.invalid:")
    assert failing(host.laptop, "name")["found"] == "no address is known for `no-such-host.invalid`"


def test_nobody_listens(host: Host) -> None:
    known_as(host.laptop, f":{host.runtime.port}/", f":{free_port()}/")
    assert "nobody listens" in failing(host.laptop, "TCP")["found"]


def test_another_runtime(host: Host, tmp_path: Path) -> None:
    with started_sshd(tmp_path / "other") as other:
        known_as(host.laptop, f":{host.runtime.port}/", f":{other.port}/")
        assert "another host key" in failing(host.laptop, "host key", exit_code=5)["found"]


def test_a_key_that_is_not_let_in(host: Host) -> None:
    keys = host.runtime.authorized_keys.read_text()
    host.runtime.authorized_keys.write_text("")
    try:
        assert "does not let this laptop's key in" in failing(host.laptop, "login")["found"]
    finally:
        host.runtime.authorized_keys.write_text(keys)


def test_without_a_host_it_says_what_works_here(laptop: Laptop) -> None:
    done = laptop("doctor", "--json", HTTPS_PROXY="http://me:secret@proxy:3128")
    document = json.loads(done.stdout)
    found = {step["name"]: step["found"] for step in document["steps"]}
    assert done.returncode == 0
    assert found["ssh"].startswith("OpenSSH")
    assert found["proxy"] == "http://proxy:3128, of the environment"
    assert "none yet" in found["key"]
    assert "secret" not in done.stdout
    assert "not installed" in laptop("doctor", PATH="/nonexistent").stdout
    assert "line       stays for 10 min" in laptop("doctor", COLAB_REMOTE_LINE="").stdout
    assert "line       switched off by COLAB_REMOTE_LINE" in laptop("doctor", COLAB_REMOTE_LINE="0").stdout
