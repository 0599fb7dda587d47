"""Secrets and variables: whatever they hold, and however Colab fails, a value comes of it or a sentence."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colab_remote.errors import ColabRemoteError
from colab_remote.runtime.environment import job_environment
from colab_remote.runtime.keys import authorized_keys
from colab_remote.runtime.secrets import ngrok_token, secret

NAMES = ["SecretNotFoundError", "NotebookAccessError", "TimeoutException", "AttributeError", "SomethingNew"]
FAILURES = st.builds(
    lambda name, base, said: type(name, (base,), {})(said),
    st.sampled_from(NAMES),
    st.sampled_from([Exception, AttributeError, ValueError, OSError, RuntimeError]),
    st.text(),
)
ANSWERS = st.none() | st.text() | st.binary() | st.integers() | FAILURES


@contextlib.contextmanager
def colab(answer: object) -> Iterator[None]:
    """A notebook whose secrets all are `answer`, or fail with it."""

    def get(name: str) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    modules: dict[str, Any] = {
        name: ModuleType(name) for name in ("IPython", "google", "google.colab", "google.colab.userdata")
    }
    modules["IPython"].get_ipython = lambda: SimpleNamespace(kernel=None)
    modules["google.colab"].userdata = modules["google.colab.userdata"]
    modules["google.colab.userdata"].get = get
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        for name in ("HF_TOKEN", "SSH_PUBLIC_KEY"):
            patch.delenv(name, raising=False)
        yield


@pytest.mark.parametrize(
    ("given", "in_colab", "variable", "expected"),
    [
        ("argument", "secret", "variable", "argument"),
        (None, "secret", "variable", "secret"),
        (None, None, "variable", "variable"),
    ],
)
def test_an_argument_goes_before_a_secret_and_that_before_a_variable(
    given: str | None, in_colab: str | None, variable: str, expected: str
) -> None:
    with colab(in_colab), pytest.MonkeyPatch.context() as patch:
        patch.setenv("NGROK_AUTHTOKEN", variable)
        assert ngrok_token(given) == expected


def test_a_token_that_is_given_needs_no_secret() -> None:
    with colab(type("NotebookAccessError", (Exception,), {})()):
        assert ngrok_token("argument") == "argument"


@given(ANSWERS)
def test_whatever_colab_answers_is_a_secret_or_a_sentence(answer: object) -> None:
    with colab(answer), contextlib.suppress(ColabRemoteError):
        assert secret("HF_TOKEN") == (answer if answer and isinstance(answer, str) else None)


@given(ANSWERS.filter(lambda answer: not str(answer).strip().startswith("github:")))
def test_whatever_colab_answers_is_a_key_or_a_sentence(answer: object) -> None:
    with colab(answer), contextlib.suppress(ColabRemoteError):
        assert authorized_keys(None)


@given(st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8")))
def test_whatever_the_variable_holds_is_a_token_or_a_sentence(value: str | None) -> None:
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(ColabRemoteError):
        patch.delenv("NGROK_AUTHTOKEN", raising=False)
        if value is not None:
            patch.setenv("NGROK_AUTHTOKEN", value)
        token = ngrok_token(None)
        assert token
        assert token == str(value).strip()


@given(st.lists(st.text() | st.sampled_from(["HOME", "PATH"])))
def test_whatever_jobs_may_see_is_found_or_refused(names: list[str]) -> None:
    with contextlib.suppress(ColabRemoteError):
        assert set(job_environment(names)) == set(names)
