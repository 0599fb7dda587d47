"""The written ssh config: read by the real ssh, line by line, and kind to what the user wrote."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sides import Host as Sides
from sides import Laptop, Runtime

from colab_remote.errors import Refused
from colab_remote.laptop.hosts import Host
from colab_remote.laptop.ssh_config import config_text, quoted, with_include, without_include
from colab_remote.ticket import parse_ticket

LINE = b'Include "/home/me/.ssh/colab-remote/config"'
PRINT = "SHA256:" + "A" * 43
HOMES = [
    "plain",
    "two words",
    "한글 홈",
    'a"quote',
    "it's",
    "100%d %%",
    "back\\slash",
    "a#b",
    "[x]*?",
    "$HOME",
    "-dash",
]
CONFIG_LINES = st.sampled_from(
    [b"Host *", b"  User me", b"match all", b"# note", b"", b"Include other", b"\xff\xfe", "한글".encode()]
)
CONFIGS = st.builds(
    lambda lines, end, last: end.join(lines) + last,
    st.lists(CONFIG_LINES, max_size=8),
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from([b"", b"\n", b"\r\n", b"x"]),
)


def asked(laptop: Laptop, name: str = "colab") -> dict[str, str]:
    """What the real ssh makes of the laptop's config."""
    argv = ["ssh", "-G", "-F", str(laptop.home / ".ssh" / "config"), name]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return dict(line.partition(" ")[::2] for line in done.stdout.splitlines())


def ssh(laptop: Laptop, *words: str) -> subprocess.CompletedProcess[str]:
    """Plain ssh, with nothing but the user's config."""
    argv = ["ssh", "-F", str(laptop.home / ".ssh" / "config"), *words]
    return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture(params=HOMES)
def odd_laptop(tmp_path: Path, laptop: Laptop, request: pytest.FixtureRequest) -> Laptop:
    """A laptop whose home folder has an unusual name."""
    home = tmp_path / request.param
    home.mkdir()
    return Laptop(home, {**laptop.env, "HOME": str(home)})


def test_ssh_reads_every_line_as_it_is_meant(host: Sides) -> None:
    ours = host.laptop.ours
    read = asked(host.laptop)
    expected = {
        "hostname": "127.0.0.1",
        "port": str(host.runtime.port),
        "user": parse_ticket(host.runtime.ticket).user,
        "identityfile": str(ours / "id_ed25519"),
        "identitiesonly": "yes",
        "preferredauthentications": "publickey",
        "hostkeyalias": "colab",
        "hostkeyalgorithms": "ssh-ed25519",
        "userknownhostsfile": str(ours / "keys" / "colab"),
        "globalknownhostsfile": "/dev/null",
        "stricthostkeychecking": "true",
        "checkhostip": "no",
        "updatehostkeys": "false",
        "serveraliveinterval": "15",
        "serveralivecountmax": "3",
        "forwardagent": "no",
        "forwardx11": "no",
    }
    assert {name: read[name] for name in expected} == expected
    written = {
        line.split()[0].lower() for line in (ours / "config").read_text("utf-8").splitlines() if line[:4] == " " * 4
    }
    assert written - {"#"} == set(expected), "an option is written that this test does not prove"


def test_remote_ssh_is_not_broken_by_a_command_or_a_terminal(host: Sides) -> None:
    read = asked(host.laptop)
    assert "remotecommand" not in read
    assert read["requesttty"] == "auto"


def test_plain_ssh_and_scp_and_rsync_use_it(host: Sides, tmp_path: Path) -> None:
    config = str(host.laptop.home / ".ssh" / "config")
    sent = tmp_path / "sent 한.txt"
    sent.write_bytes(os.urandom(1000))
    scp, rsync = host.runtime.workdir / f"{tmp_path.name}-scp", host.runtime.workdir / f"{tmp_path.name}-rsync"

    done = ssh(host.laptop, "colab", "echo", "$HOME", "&&", "exit", "3")
    subprocess.run(["scp", "-q", "-F", config, str(sent), f"colab:{scp}"], check=True)
    subprocess.run(["rsync", "-e", f"ssh -F '{config}'", str(sent), f"colab:{rsync}"], check=True)

    assert (done.returncode, done.stderr) == (3, "")
    assert scp.read_bytes() == rsync.read_bytes() == sent.read_bytes()


def test_homes_of_any_name_are_read_by_ssh(odd_laptop: Laptop, runtime: Runtime) -> None:
    runtime.admit(odd_laptop.public_line())
    done = odd_laptop("connect", runtime.ticket)
    assert done.returncode == 0, done.stderr
    read = asked(odd_laptop)
    assert read["identityfile"] == str(odd_laptop.ours / "id_ed25519").replace("%", "%%")
    assert ssh(odd_laptop, "colab", "true").returncode == 0


def test_a_home_that_no_config_can_name_is_refused() -> None:
    for path in ("/home/${x}", "/home/a\nb"):
        with pytest.raises(Refused):
            quoted(path)


def test_a_windows_home_is_written_with_slashes() -> None:
    key = Path("C:/Users/Kim Minsu/.ssh/colab-remote/id_ed25519")
    host = Host("colab", parse_ticket(f"ssh://root@h:1/x#{PRINT}"), key)
    assert 'IdentityFile "C:/Users/Kim Minsu/.ssh/colab-remote/id_ed25519"' in config_text([host], Path("k"))


def test_the_users_config_keeps_every_other_byte(host: Sides) -> None:
    config = host.laptop.home / ".ssh" / "config"
    theirs = b"# mine\r\nHost *\r\n    User somebody\r\n\xff\r\nno end"
    config.write_bytes(theirs)
    config.chmod(0o644)

    for _ in range(2):
        assert host.laptop("connect", host.runtime.ticket).returncode == 0
        first, _, rest = config.read_bytes().partition(b"\r\n")
        assert first == f'Include "{host.laptop.ours / "config"}"'.encode()
        assert rest == theirs
        assert stat.S_IMODE(config.stat().st_mode) == 0o644

    assert host.laptop("disconnect", "colab").returncode == 0
    assert config.read_bytes() == theirs


def test_a_linked_config_stays_a_link(host: Sides, tmp_path: Path) -> None:
    config, real = host.laptop.home / ".ssh" / "config", tmp_path / "dotfiles"
    real.write_bytes(b"Host x\n")
    config.unlink()
    config.symlink_to(real)
    assert host.laptop("connect", host.runtime.ticket).returncode == 0
    assert config.is_symlink()
    assert real.read_bytes().endswith(b"\nHost x\n")
    assert real.read_bytes().startswith(b"Include")


def test_the_config_goes_with_the_last_host_and_not_before(host: Sides) -> None:
    config = host.laptop.home / ".ssh" / "config"
    assert host.laptop("connect", host.runtime.ticket, "--name", "other").returncode == 0
    assert host.laptop("disconnect", "colab").returncode == 0
    assert config.read_bytes().startswith(b"Include")
    assert asked(host.laptop, "other")["hostkeyalias"] == "other"
    assert host.laptop("disconnect", "other").returncode == 0
    assert not config.exists()


def test_what_is_ours_is_for_its_owner_alone(host: Sides) -> None:
    made = [path for path in (host.laptop.home / ".ssh").rglob("*") if path.name != "id_ed25519.pub"]
    assert len(made) >= 6
    for path in made:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@given(CONFIGS)
def test_the_include_comes_first_once_and_goes_without_a_trace(config: bytes) -> None:
    once = with_include(config, LINE)
    assert once.splitlines()[0] == LINE
    assert once.endswith(config)
    assert with_include(once, LINE) == once
    assert without_include(once, LINE) == config


@given(st.binary())
def test_any_bytes_survive_the_include(config: bytes) -> None:
    assert without_include(with_include(config, LINE), LINE) == config


def test_an_include_below_a_block_counts_for_that_host_only_so_it_is_added_on_top() -> None:
    config = b"Host x\n" + LINE + b"\n"
    assert with_include(config, LINE) == LINE + b"\n" + config


@given(st.lists(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,9}", fullmatch=True), unique=True), st.text())
def test_a_config_has_the_hosts_blocks_and_no_line_from_elsewhere(names: list[str], folder: str) -> None:
    ticket = parse_ticket(f"ssh://root@h:1/x%20HostName%20evil#{PRINT}")
    try:
        text = config_text([Host(name, ticket, Path("/") / folder / "key") for name in names], Path("/p"))
    except Refused:
        assert not folder.isprintable() or "${" in folder
        return
    lines = text.splitlines()
    assert [line for line in lines if not line.startswith((" ", "#")) and line] == [f"Host {name}" for name in names]
    assert len({line.split()[0] for line in lines if line.startswith("    ")}) in (0, 18)
    assert PurePosixPath("/p").as_posix() in text or not names


def test_an_address_of_ipv6_keeps_its_brackets_behind_a_proxy() -> None:
    ticket = parse_ticket(f"ssh://me@[2001:db8::1]:2222/content#SHA256:{'q' * 43}")
    host = Host("six", ticket, Path("/key"), proxy="http://proxy:3128")
    assert "proxy 'ssh://[2001:db8::1]:2222'" in config_text([host], Path("/pinned"))
