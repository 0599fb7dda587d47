"""Whose keys may log in: whatever is given, key lines come of it or a sentence."""

from __future__ import annotations

import base64
import contextlib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from https_site import Site
from hypothesis import given
from hypothesis import strategies as st

from colab_remote.errors import ColabRemoteError
from colab_remote.runtime.keys import authorized_keys

KINDS = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "sk-ssh-ed25519@openssh.com"]


def key_line(kind: str, comment: str = "") -> str:
    blob = len(kind).to_bytes(4, "big") + kind.encode() + bytes(36)
    return f"{kind} {base64.b64encode(blob).decode()} {comment}".strip()


LINES = st.builds(key_line, st.sampled_from(KINDS), st.text())
PIECES = st.lists(
    st.sampled_from([*KINDS, *" \t\n\r\0\x1b#=~/\"'", "AAAA", 'command="x" ', "-----BEGIN OPENSSH PRIVATE KEY-----"])
    | LINES
).map("".join)
# Those at GitHub are asked for over the network.
GIVEN = (st.text() | LINES | PIECES).filter(lambda text: not text.strip().startswith("github:"))


@given(GIVEN | st.lists(GIVEN, min_size=1))
def test_whatever_is_given_is_key_lines_or_refused(text: str | list[str]) -> None:
    check(text)


@given(st.binary() | PIECES.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_whatever_a_file_holds_is_key_lines_or_refused(
    tmp_path_factory: pytest.TempPathFactory, contents: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "key.pub"
    path.write_bytes(contents)
    check(str(path))


@given(LINES.filter(str.isprintable))
def test_a_key_line_is_taken_as_it_is(line: str) -> None:
    assert authorized_keys(f" {line}\n") == (line.strip(),)


def test_a_key_line_that_was_cut_between_two_bytes_is_told() -> None:
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in (b"ssh-ed25519", bytes(32)))
    with pytest.raises(ColabRemoteError, match="is cut off"):
        authorized_keys(f"ssh-ed25519 {base64.b64encode(blob[:-3]).decode()}")


@pytest.mark.parametrize("given", ["~nobody-of-this-name/id.pub", "/", "", "a" * 5000, "\udc80", "\0"])
def test_what_is_no_path_is_refused(given: str) -> None:
    assert not check(given)


def check(given: str | list[str]) -> tuple[str, ...]:
    try:
        lines = authorized_keys(given)
    except ColabRemoteError as refused:
        error = refused
    else:
        for line in lines:
            assert line.isprintable()
            assert line.split()[0] in KINDS
        return lines
    assert error.message.isprintable()
    assert error.hint
    return ()


@contextlib.contextmanager
def github(folder: Path, body: str, status: str = "200 OK") -> Iterator[Site]:
    """A github.com that answers so."""
    site = Site(folder, "github.com", body.encode(), status)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in site.environment.items():
            patch.setenv(name, value)
        patch.setattr(urllib.request, "_opener", None)  # it keeps the first proxy that it saw
        yield site
    site.close()


def test_all_keys_of_somebody_on_github_are_taken(tmp_path: Path) -> None:
    lines = (key_line("ssh-ed25519"), key_line("ssh-rsa"))
    with github(tmp_path, "\n".join(lines) + "\n") as site:
        assert authorized_keys("github:octo-cat") == lines
    assert site.asked == ["/octo-cat.keys"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("Not Found", "404 Not Found", "answers 404 for the keys of `octo-cat`"),
        ("", "200 OK", "`octo-cat` has no public key on GitHub"),
        ("<html>\x1b[2J", "200 OK", "holds a line that is no public key"),
    ],
)
def test_what_github_cannot_give_is_told(tmp_path: Path, body: str, status: str, says: str) -> None:
    with github(tmp_path, body, status), pytest.raises(ColabRemoteError) as caught:
        authorized_keys("github:octo-cat")
    assert says in caught.value.message


def test_a_private_key_is_told_apart_and_not_repeated() -> None:
    with pytest.raises(ColabRemoteError) as caught:
        authorized_keys("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----")
    assert "holds a private key" in caught.value.message
    assert "b3Blbn" not in caught.value.message
