"""Runtimes through Google's own command line, the real one, against a stand-in for Google."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from colab_vm import ColabVm, new_vm
from google_colab import Google
from sides import Laptop, started_sshd, until
from ways import NO_PROGRAMS, PROGRAMS

DOOR = Path("/etc/ssh/ssh_host_ed25519_key")  # of the sshd behind Google's door

pytestmark = [
    pytest.mark.skipif(not (PROGRAMS / "colab").exists(), reason=NO_PROGRAMS),
    pytest.mark.skipif(not os.access(DOOR, os.R_OK), reason="the host key of this machine is root's"),
]


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ColabVm]:
    """The machine that all sessions are."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COLAB_REMOTE_", "SSH_"))}
    made = new_vm(tmp_path_factory.mktemp("vm"), kept)
    yield made
    stop = [str(made.python), "-m", "colab_remote", "shutdown"]
    subprocess.run(stop, env=made.environment, capture_output=True, timeout=60)


@pytest.fixture
def google(vm: ColabVm, tmp_path: Path) -> Iterator[Google]:
    (tmp_path / "google").mkdir()
    with started_sshd(tmp_path / "door", host_key=DOOR) as door:
        state = Path(vm.environment["HOME"], ".colab-remote")
        state.unlink(missing_ok=True)
        state.symlink_to(door.state)
        found = Google(tmp_path / "google", vm.python, vm.environment, door)
        yield found
        found.close()
        stop = [str(vm.python), "-m", "colab_remote", "shutdown"]
        subprocess.run(stop, env=vm.environment, capture_output=True, timeout=60)


@pytest.fixture
def mine(laptop: Laptop, google: Google) -> Laptop:
    """A laptop of that account, with Google's program on its PATH."""
    laptop.env.update(google.laptop(laptop.home, PROGRAMS))
    return laptop


def test_up_shares_the_one_connection_and_down_brings_outputs_home(mine: Laptop, google: Google) -> None:
    done = mine("up", "--gpu", "T4")
    assert done.returncode == 0, done.stderr
    assert "session  asking Google for `colab` with a T4" in done.stderr
    assert done.stdout.startswith("colab  ")
    ticket = json.loads((mine.ours / "hosts" / "colab.json").read_text())["ticket"]
    assert ticket.startswith("colab:colab/content#SHA256:")
    assert google.made == 1
    config = str(mine.ours.parent / "config")
    project, there = mine.home / "by-google", Path("/content/by-google")
    project.mkdir()
    shutil.rmtree(there, ignore_errors=True)
    trains = "mkdir saved; echo 1 > saved/log; until [ -e on ]; do sleep 0.1; done; echo 2 > saved/log"
    (project / "colab-remote.toml").write_text(f"[project]\ntrain = '{trains}'\n")
    with mine.started("train", cwd=project) as training:
        until(lambda: (project / "saved/log").exists())
        plain = ["ssh", "-F", config, "colab", "echo $COLAB_RELEASE_TAG; python3 -c 'print(6 * 7)'"]
        said = subprocess.run(plain, env=mine.env, cwd=mine.home, capture_output=True, text=True, timeout=30)
        assert said.stdout.splitlines()[-1:] == ["42"], said.stderr
        copied = ["scp", "-q", "-F", config, f"colab:{there}/saved/log", str(mine.home / "copied")]
        subprocess.run(copied, env=mine.env, cwd=mine.home, check=True, timeout=30)
        assert (mine.home / "copied").read_text() == "1\n"
        assert "running" in mine("jobs").stdout
        refused = mine("down")
        assert refused.returncode == 2
        assert "`by-google-1` would end with `colab`" in refused.stderr
        (there / "on").touch()
        until(lambda: training.poll() is not None)
    assert (project / "saved/log").read_text() == "2\n"
    (there / "saved/later").write_text("made by hand\n")
    again = mine("up")
    assert "session  `colab` is there, with a T4" in again.stderr
    assert again.returncode == 0, again.stderr
    assert mine("doctor", "colab").returncode == 0
    mine.end_lines()
    (session,) = google.sessions.values()
    until(lambda: session.at_the_door is None)
    session.at_the_door = "somebody else"
    refused = mine("--timeout", "5", "run", "--", "true")
    assert refused.returncode == 4
    assert "somebody else is connected to the session `colab`, which lets in one (429)" in refused.stderr
    session.at_the_door, session.token = None, "renewed"
    assert mine("run", "--", "echo through").stdout == "through\n"
    saved, elsewhere = project / "saved", mine.home / "elsewhere"
    saved.rename(elsewhere)
    saved.symlink_to(elsewhere)
    stays = mine("down")
    assert (stays.returncode, "saved/later" in stays.stderr, len(google.sessions)) == (1, True, 1), stays.stderr
    saved.unlink()
    elsewhere.rename(saved)
    ended = mine("down")
    assert ended.returncode == 0, ended.stderr
    assert "stopped  colab" in ended.stderr
    assert "1.76 an hour; 98.50 compute units are left" in ended.stderr
    assert (project / "saved/later").read_text() == "made by hand\n"
    assert not google.sessions
    assert google.made == 1
    assert mine("list").stdout == ""
    shutil.rmtree(there)


def test_a_session_that_google_took_back_is_named_and_none_is_made_unasked(mine: Laptop, google: Google) -> None:
    assert mine("up").returncode == 0
    google.take_back()
    until(lambda: not mine.lines() or mine("--timeout", "5", "run", "--", "true").returncode == 4)
    lost = mine("--timeout", "5", "run", "--", "true")
    assert lost.returncode == 4, lost.stderr
    assert "Google has taken the session `colab` back" in lost.stderr
    assert google.made == 1
    again = mine("up")
    assert again.returncode == 0, again.stderr
    assert google.made == 2
    assert mine("run", "--", "echo back").stdout == "back\n"
    google.take_back()
    gone = mine("down")
    assert "`colab` was gone already: Google had taken it back" in gone.stderr
    assert google.made == 2


def test_what_the_account_may_not_have(mine: Laptop, google: Google) -> None:
    done = mine("up", "--gpu", "A100")
    assert done.returncode == 6
    assert "this Google account may not have that GPU (400)" in done.stderr
    for name in ("one", "two"):
        subprocess.run([PROGRAMS / "colab", "new", "-s", name], env=mine.env, check=True, capture_output=True)
    done = mine("up")
    assert done.returncode == 6
    assert "Google has no runtime for this account now" in done.stderr
    done = mine("up", "--gpu", "T4", "--name", "one")
    assert done.returncode == 2
    assert "the session `one` has no GPU" in done.stderr
    assert google.made == 2


def test_a_login_that_is_lost_or_was_never_there(mine: Laptop, google: Google) -> None:
    google.logged_in = False
    done = mine("up")
    assert done.returncode == 2
    assert "Google does not take the login of its `colab` any more (401)" in done.stderr
    (mine.home / ".config/colab-cli/token.json").unlink()
    done = mine("up")
    assert done.returncode == 2
    assert "Google's `colab` is not logged in" in done.stderr
    assert not google.made


def test_a_laptop_without_the_program(laptop: Laptop) -> None:
    done = laptop("up", PATH="/usr/bin:/bin")
    assert done.returncode == 2
    assert "Google's own command line for Colab is not installed here" in done.stderr
    assert "pipx install google-colab-cli" in done.stderr


def test_another_host_of_that_name_is_left_alone(mine: Laptop, google: Google) -> None:
    ticket = "ssh://root@127.0.0.1:9/content#SHA256:" + "A" * 42 + "E"
    record = {"format": 1, "ticket": ticket, "key": str(mine.home / "key")}
    (mine.ours / "hosts").mkdir(parents=True)
    (mine.ours / "hosts" / "colab.json").write_text(json.dumps(record))
    assert "`colab` is another runtime here" in mine("up").stderr
    assert "`colab` did not come from `up`" in mine("down").stderr
    assert not google.made
