"""Classes and functions by the names that the configuration gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, get_type_hints

from config.checked import checked, expect_known, nearest
from config.refused import Refused
from config.sections import Part


def find(modules: Sequence[ModuleType], name: str, place: str) -> Any:
    """What is called `name` in the first of `modules` that has it. Raises Refused, naming `place`."""
    for module in modules:
        if callable(getattr(module, name, None)) and not name.startswith("_"):
            return getattr(module, name)
    known = [own for module in modules for own in _offered(module)]
    raise Refused(f"`{place}`: no `{name}` in `{modules[0].__name__}`; {nearest(name, known)}")


def make(part: Part, module: ModuleType, place: str, *first: Any) -> Any:
    """An object of the class that `part` names in `module`, made of `first` and its own arguments. Raises Refused."""
    kind = find([module], part.type, f"{place}.type")
    arguments = _arguments(kind, part.args, f"{place}.args", len(first))
    try:
        return kind(*first, **arguments)
    except (TypeError, ValueError) as error:
        raise Refused(f"`{place}.args`: {part.type} says: {error}") from error


def _arguments(kind: Callable[..., Any], given: dict[str, Any], place: str, skipped: int) -> dict[str, Any]:
    """`given`, each known to `kind` and of the type it is annotated with, none missing. Raises Refused."""
    taken = dict(list(inspect.signature(kind).parameters.items())[skipped:])
    hints = _hints(kind)
    for name in given:
        expect_known(name, taken, place)
    for name, parameter in taken.items():
        if parameter.default is parameter.empty and name not in given:
            raise Refused(f"`{place}.{name}` is missing")
    return {name: checked(hints.get(name, object), value, f"{place}.{name}") for name, value in given.items()}


def _hints(kind: Any) -> dict[str, Any]:
    try:
        return get_type_hints(kind if not inspect.isclass(kind) else kind.__init__)
    except NameError:  # names that only a type checker sees, as torch's own classes have them
        return {}


def _offered(module: ModuleType) -> list[str]:
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
