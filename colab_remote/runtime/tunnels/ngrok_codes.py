"""What ngrok's error codes mean for somebody who wants a tunnel, and what to do about each. Pure."""

from __future__ import annotations

import re

from pyngrok.exception import PyngrokNgrokError, PyngrokNgrokHTTPError, PyngrokNgrokInstallError

from colab_remote.errors import ColabRemoteError, ProviderRefused
from colab_remote.runtime.display import one_line
from colab_remote.runtime.secrets import TOKEN_PAGE
from colab_remote.runtime.tunnels import TUNNELS

_DASHBOARD = "https://dashboard.ngrok.com"
_OTHERS = ", ".join(f"`{name}`" for name in TUNNELS if name not in ("auto", "ngrok"))
_COPY = f"copy it again from {TOKEN_PAGE}, whole, and launch again"
_STOP = f"stop the other one ({_DASHBOARD}/agents shows where it runs), then launch again"
_END = (
    "end that one, in Colab by Runtime > Disconnect and delete runtime, elsewhere by `colab-remote shutdown`; or its "
    f"session at {_DASHBOARD}/agents; then launch again"
)
_UPDATE = "update the agent that is installed here with `ngrok update`, or remove it, and launch again"
CARD_CODES = (302, 8013)
_CARD = (
    "ngrok opens TCP addresses only for accounts with a verified card",
    f"add a card at {_DASHBOARD}/settings#id-verification (ngrok says that nothing is charged; prepaid cards are "
    f"refused), or launch with another tunnel: {_OTHERS}",
)
_MONTH = f"wait for the next month, take a plan at {_DASHBOARD}/billing, or launch with another tunnel: {_OTHERS}"

# What happened, and what to do next.
MEANINGS = {
    105: ("this is no ngrok token", _COPY),
    106: ("this ngrok token is of a kind that is no longer taken", _COPY),
    107: ("this ngrok token was revoked, or reset", _COPY),
    108: ("the ngrok account runs as many agents as it may", _STOP),
    120: ("ngrok's agent is too old", _UPDATE),
    121: ("ngrok's agent is too old", _UPDATE),
    123: ("the ngrok account's e-mail address is not verified", f"verify it at {_DASHBOARD}/user/settings"),
    324: ("the ngrok account has as many endpoints open as it may", _STOP),
    334: ("another runtime uses the ngrok account's one address", _END),
    348: ("the ngrok account has as many sessions open as it may", _STOP),
    725: ("the ngrok account's traffic for this month is used up", _MONTH),
    726: ("the ngrok account's connections for this month are used up", _MONTH),
    727: ("the ngrok account's requests for this month are used up", _MONTH),
    4018: ("ngrok wants the token of an account that is verified", f"sign in at {_DASHBOARD}, then {_COPY}"),
    8012: ("ngrok's agent does not reach sshd", "launch again with a restart"),
    9040: (
        "ngrok does not serve the network address of this machine",
        f"take another runtime, or launch with another tunnel: {_OTHERS}",
    ),
    **dict.fromkeys(
        (702, 734), ("the ngrok account makes too many connections a minute", "wait a minute, then launch again")
    ),
    **dict.fromkeys(CARD_CODES, _CARD),
}


def reason(error: Exception, token: str, waited: float | None = None) -> ColabRemoteError:
    """What an error of pyngrok's means, or the agent's silence of `waited` seconds."""
    if isinstance(error, PyngrokNgrokInstallError):
        return ColabRemoteError(
            f"ngrok's agent cannot be downloaded: {error.__context__ or error}",
            "launch again; or download it from https://ngrok.com/download and set PYNGROK_NGROK_PATH to where it lies",
        )
    # pyngrok finds a code only in what fails the start.
    said = [str(error)]
    if isinstance(error, PyngrokNgrokHTTPError):
        said.append(error.body)
    if isinstance(error, PyngrokNgrokError):
        said = [error.ngrok_error or "", *said, *(line.line for line in error.ngrok_logs)]
    coded = next((text for text in said if "ERR_NGROK_" in text), "")
    if waited and not coded:
        return ColabRemoteError(
            f"ngrok's agent does not get anywhere in {waited:.0f} s",
            "launch again; if that does not help, see whether this machine reaches https://status.ngrok.com",
        )
    return refusal(coded or next(filter(None, said), ""), token)


def code_in(error: ProviderRefused) -> str:
    """ngrok's code, as it stands in the message; empty where there is none."""
    found = re.search(r"ERR_NGROK_[0-9]+", error.message)
    return found[0] if found else ""


def wants_card(error: ProviderRefused) -> bool:
    """Whether ngrok refused because TCP needs a verified card."""
    return code_in(error) in {f"ERR_NGROK_{code}" for code in CARD_CODES}


def refusal(said: str, token: str = "") -> ColabRemoteError:
    """The error that ngrok's own words, in a log or an answer, stand for; the token is not repeated.

    A ProviderRefused where they hold a code, known here or not.
    """
    found = re.search(r"ERR_NGROK_([0-9]{1,9})", said)
    if not found:
        words = " ".join((said.replace(token, "***") if token else said).split())
        shown = one_line(words, 300) or "it did not say why"
        return ColabRemoteError(f"ngrok's agent failed: {shown}", "launch again")
    code = int(found[1])
    message, hint = MEANINGS.get(code, ("ngrok refuses the tunnel", "ngrok's page about it says what to do"))
    return ProviderRefused(
        f"{message} (ERR_NGROK_{code})", f"{hint}; see https://ngrok.com/docs/errors/err_ngrok_{code}"
    )
