"""What asks the notebook's page, which answers nothing here: as in an output frame that lets no script through."""

from typing import NoReturn

from IPython.display import clear_output


class MessageError(Exception):
    """What the page's failure becomes."""


def clear(wait: bool = False, output_tags: object = ()) -> None:
    clear_output(wait)


def eval_js(script: str, ignore_result: bool = False, timeout_sec: float | None = None) -> NoReturn:
    raise MessageError(f"nothing answers: {script}")


def register_callback(function_name: str, callback: object) -> NoReturn:
    raise MessageError(f"nobody calls: {function_name}")
