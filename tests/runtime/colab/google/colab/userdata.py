"""Secrets as Colab gives them: errors carry the names and bases of the real ones."""

import json
import os


class SecretNotFoundError(AttributeError):
    def __init__(self, key: str) -> None:
        super().__init__(f"Secret {key} does not exist.")


class NotebookAccessError(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(f"Notebook does not have access to secret {key}")


class TimeoutException(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(
            f"Requesting secret {key} timed out. Secrets can only be fetched when running from the Colab UI."
        )


def get(key: str) -> str:
    with open(os.environ["COLAB_SECRETS"]) as file:
        secrets = json.load(file)
    if secrets == "elsewhere":
        raise TimeoutException(key)
    if key not in secrets:
        raise SecretNotFoundError(key)
    if secrets[key] is None:
        raise NotebookAccessError(key)
    return str(secrets[key])
