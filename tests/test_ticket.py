"""Tickets: what they say, and that nothing in one can become an option, a second line or a command."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colab_remote.errors import Refused
from colab_remote.ticket import Ticket, fingerprint, parse_ticket

PRINT = "SHA256:" + "q1w2" * 10 + "abc"
LETTERS = string.ascii_letters + string.digits
WORKDIRS = st.text(st.characters(codec="utf-8"), max_size=40).map(lambda text: "/" + text).filter(str.isprintable)
HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True)
TICKETS = st.builds(
    Ticket,
    scheme=st.sampled_from(["ssh", "wss"]),
    user=st.from_regex(r"[a-z_][a-z0-9._-]{0,10}", fullmatch=True),
    host=st.one_of(HOSTS, st.ip_addresses(v=6).map(str)),
    port=st.integers(1, 65535),
    workdir=WORKDIRS,
    fingerprint=st.just(PRINT),
    via=st.one_of(st.none(), HOSTS.map(lambda host: f"me@{host}:22")),
)


@pytest.mark.parametrize(
    ("text", "ticket"),
    [
        (
            f"ssh://root@0.tcp.ngrok.io:12345/content#{PRINT}",
            Ticket("ssh", "root", "0.tcp.ngrok.io", 12345, "/content", PRINT),
        ),
        (
            f"wss://root@abc.ngrok-free.app/content#{PRINT}",
            Ticket("wss", "root", "abc.ngrok-free.app", None, "/content", PRINT),
        ),
        (
            f"ssh://root@localhost:7001/content?via=me@vps:22#{PRINT}",
            Ticket("ssh", "root", "localhost", 7001, "/content", PRINT, "me@vps:22"),
        ),
        (f"colab:SESSION/content#{PRINT}", Ticket("colab", "root", "SESSION", None, "/content", PRINT)),
        (f"ssh://me@[::1]:22/a%20b/%ED%95%9C#{PRINT}", Ticket("ssh", "me", "::1", 22, "/a b/한", PRINT)),
        (f"ws://root@127.0.0.1:9/x#{PRINT}", Ticket("ws", "root", "127.0.0.1", 9, "/x", PRINT)),
    ],
)
def test_the_contracts_tickets_are_read_and_written(text: str, ticket: Ticket) -> None:
    assert parse_ticket(text) == ticket
    assert str(ticket) == text


def test_the_quotes_around_a_ticket_do_not_matter() -> None:
    text = f"ssh://root@host:1/content#{PRINT}"
    assert parse_ticket(f' "{text}"\n') == parse_ticket(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "begins with"),
        ("http://root@host/x#" + PRINT, "begins with"),
        (f"ssh://root@host:1/x#{PRINT[:-1]}", "fingerprint"),
        ("ssh://root@host:1/x", "fingerprint"),
        (f"ssh://root@host/x#{PRINT}", "port"),
        (f"ssh://root@host:0/x#{PRINT}", "port"),
        (f"wss://root@host:0/x#{PRINT}", "port"),
        (f"ssh://root@host:99999/x#{PRINT}", "no ticket"),
        (f"ssh://root@-oProxyCommand=x:1/x#{PRINT}", "host"),
        (f"ssh://-oProxyCommand=x@host:1/x#{PRINT}", "user"),
        (f"ssh://ro%20ot@host:1/x#{PRINT}", "user"),
        (f"ssh://host:1/x#{PRINT}", "user"),
        (f"ssh://root@ho;st:1/x#{PRINT}", "host"),
        (f"ssh://root@host:1/x%0aHost%20evil#{PRINT}", "path"),
        (f"ssh://root@host:1/x%00#{PRINT}", "path"),
        (f"ssh://root@host:1/x%1b[2J#{PRINT}", "path"),
        (f"ssh://root@host:1/x\nHost *#{PRINT}", "control character"),
        (f"ssh://root@host:1/x?via=-oX=y#{PRINT}", "via"),
        (f"ssh://root@host:1/x?proxy=x#{PRINT}", "does not know"),
        (f"ws://root@example.com/x#{PRINT}", "this machine only"),
        (f"colab:-s/x#{PRINT}", "host"),
    ],
)
def test_what_is_no_ticket_is_refused_with_its_reason(text: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_ticket(text)
    assert said in refused.value.message
    assert "connect" in refused.value.hint


@given(TICKETS)
def test_a_ticket_survives_being_written_and_read(ticket: Ticket) -> None:
    assert parse_ticket(str(ticket)) == ticket


@given(st.text())
def test_any_text_is_a_ticket_or_refused(text: str) -> None:
    _read_or_refuse(text)


@given(st.lists(st.sampled_from([*"/:@#?%[]-. \n\0", "ssh://", "wss:", "colab:", "root", "h", "1", "via=", PRINT])))
def test_any_pieces_of_tickets_are_a_ticket_or_refused(pieces: list[str]) -> None:
    _read_or_refuse("".join(pieces))


@given(st.from_regex(rf"ssh://[ -~]{{1,9}}@[ -~]{{1,9}}:[0-9]{{1,5}}/[ -~]{{0,9}}#{PRINT}", fullmatch=True))
def test_no_ticket_holds_what_ssh_could_take_for_something_else(text: str) -> None:
    ticket = _read_or_refuse(text)
    if ticket:
        for word in (ticket.user, ticket.host, ticket.workdir):
            assert not word.startswith("-")
            assert word.isprintable()
        assert not set(ticket.user + ticket.host) & set(" \"'\\$`;|&<>(){}*?%#\n")


def test_a_fingerprint_is_what_ssh_keygen_prints() -> None:
    import base64

    blob = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"  # github.com's
    assert fingerprint(base64.b64decode(blob)) == "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"


def _read_or_refuse(text: str) -> Ticket | None:
    try:
        return parse_ticket(text)
    except Refused:
        return None
