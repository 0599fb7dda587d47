"""JSON into typed dataclasses, each mistake named with its place in the file and the nearest right thing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from config.refused import Refused

T = TypeVar("T")
_KINDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    dict: "an object in braces",
    list: "a list in brackets",
    NoneType: "null",
}


@dataclass(frozen=True)
class AtLeast:
    """A limit on a number: `Annotated[int, AtLeast(1)]`."""

    limit: float

    def wrong(self, value: Any) -> str:
        """What is wrong with `value`; empty where nothing is."""
        return "" if value >= self.limit else f"must be {self.limit} or more"


@dataclass(frozen=True)
class Like:
    """A text's form: a regular expression for us, `examples` for people."""

    pattern: str
    examples: str

    def wrong(self, value: Any) -> str:
        """What is wrong with `value`; empty where nothing is."""
        return "" if re.fullmatch(self.pattern, value) else f"must read like {self.examples}"


def build(kind: type[T], value: object, place: str = "") -> T:
    """A dataclass of `kind` made of the JSON object `value`, which stands at `place`. Raises Refused."""
    entries = cast(dict[str, Any], _of_type(dict, value, place or "the configuration"))
    hints = get_type_hints(kind, include_extras=True)
    for key in entries:
        expect_known(key, hints, place)
    made = {key: checked(hints[key], entry, _join(place, key)) for key, entry in entries.items()}
    for part in fields(cast(Any, kind)):
        if part.name not in made and part.default is MISSING and part.default_factory is MISSING:
            raise Refused(f"`{_join(place, part.name)}` is missing")
    return kind(**made)


def checked(kind: Any, value: object, place: str) -> Any:
    """`value` as the annotation `kind` wants it. Raises Refused, naming `place`."""
    if get_origin(kind) is Annotated:
        bare, *limits = get_args(kind)
        value = checked(bare, value, place)
        for wrong in (limit.wrong(value) for limit in limits):
            if wrong:
                raise Refused(f"`{place}` {wrong}, and is `{value}`")
        return value
    if get_origin(kind) in (Union, UnionType):
        choices = [choice for choice in get_args(kind) if choice is not NoneType]
        return None if value is None else checked(choices[0], value, place) if len(choices) == 1 else value
    if get_origin(kind) is list:
        (entry_kind,) = get_args(kind)
        return [checked(entry_kind, entry, f"{place}[{n}]") for n, entry in enumerate(_of_type(list, value, place))]
    if is_dataclass(kind):
        return build(cast(type[Any], kind), value, place)
    return _of_type(get_origin(kind) or kind, value, place)


def expect_known(key: str, known: Iterable[str], place: str) -> None:
    """Raise Refused unless `key` is among `known`, with the nearest of them."""
    names = list(known)
    if key not in names:
        raise Refused(f"`{_join(place, key)}` means nothing; {nearest(key, names)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint: the name that was probably meant, or the names there are."""
    names = list(known)
    folded = {candidate.lower(): candidate for candidate in names}
    found = difflib.get_close_matches(name.lower(), folded, 1)
    if found:
        return f"did you mean `{folded[found[0]]}`?"
    return f"there are {', '.join(f'`{candidate}`' for candidate in names)}" if names else "there are none"


def _of_type(kind: Any, value: Any, place: str) -> Any:
    """`value` where it is of a plain `kind`; a whole number is a number too; other kinds are not ours to judge."""
    if kind is float and type(value) is int:
        return float(value)
    if kind in _KINDS and type(value) is not kind:
        raise Refused(f"`{place}` must be {_KINDS[kind]}, and is `{value!r}`")
    return value


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key
