"""A study that any number of workers share, here or through a port; it goes on where one of them is killed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage, GrpcStorageProxy, get_storage, run_grpc_proxy_server
from optuna.trial import FrozenTrial, TrialState

from config import Diverged, Refused

Attempt = Callable[[optuna.Trial], float]
_GRPC = "grpc://"
_BEAT = "beat"  # when the trial's worker last lived, in seconds since 1970
_DONE = (TrialState.COMPLETE, TrialState.PRUNED)
_WAIT = 30.0  # seconds for a study's server to answer


def open_storage(url: str) -> BaseStorage:
    """Where a study lies: `sqlite:///saved/search.db`, or `grpc://HOST:PORT` where it is served. Raises Refused."""
    if not url.startswith(_GRPC):
        path = url.removeprefix("sqlite:///")
        if path != url:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        return get_storage(url)
    host, _, port = url.removeprefix(_GRPC).partition(":")
    if not port.isdigit():
        raise Refused(f"`{url}` must read like `{_GRPC}localhost:13000`")
    storage = GrpcStorageProxy(host=host, port=int(port))
    try:
        storage.wait_server_ready(timeout=_WAIT)
    except Exception:  # grpc's own kinds, which change with its versions
        raise Refused(
            f"no study is served at `{url}`: start `python3 search.py --serve {port}`, and forward it"
        ) from None
    return storage


def serve(url: str, port: int) -> None:
    """Hand the study at `url` to workers that come to `port` of this machine, until interrupted."""
    run_grpc_proxy_server(open_storage(url), host="localhost", port=port)


def work(study: optuna.Study, trials: int, attempt: Attempt, grace: float) -> Iterator[FrozenTrial]:
    """Try until the study has `trials` that ended, and give each of ours when it ends. Raises Refused.

    While the last ones are in others' hands it waits: a worker that is silent for `grace` seconds is dead, and its
    values are tried again.
    """
    while True:
        pick_up(study, grace)
        states = [trial.state for trial in study.get_trials(deepcopy=False)]
        ended = sum(states.count(state) for state in _DONE)
        if ended >= trials:
            return
        if ended + states.count(TrialState.RUNNING) >= trials:
            time.sleep(min(grace / 4, 1.0))
            continue
        yield _try_one(study, attempt, grace)


def pick_up(study: optuna.Study, grace: float) -> None:
    """Queue the values of trials whose worker is dead. Optuna's own heartbeat does not reach through a port."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        assert trial.datetime_start is not None
        last = trial.user_attrs.get(_BEAT, trial.datetime_start.timestamp())
        if time.time() - last > grace:
            _give_up(study, trial.number, trial.params)


def _try_one(study: optuna.Study, attempt: Attempt, grace: float) -> FrozenTrial:
    trial = study.ask()
    try:
        with _beating(trial, grace):
            return study.tell(trial, attempt(trial))
    except (optuna.TrialPruned, Diverged):
        return study.tell(trial, state=TrialState.PRUNED)
    except Refused:  # a mistake that the next trial would make again
        study.tell(trial, state=TrialState.FAIL)
        raise
    except BaseException:
        _give_up(study, trial.number, trial.params)
        raise


def _give_up(study: optuna.Study, number: int, values: dict[str, Any]) -> None:
    try:
        study.tell(number, state=TrialState.FAIL)
    except (UpdateFinishedTrialError, ValueError):  # another worker was quicker
        return
    study.enqueue_trial(values)


@contextmanager
def _beating(trial: optuna.Trial, grace: float) -> Iterator[None]:
    over = threading.Event()

    def beat() -> None:
        while not over.wait(grace / 4):
            trial.set_user_attr(_BEAT, time.time())

    trial.set_user_attr(_BEAT, time.time())
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
