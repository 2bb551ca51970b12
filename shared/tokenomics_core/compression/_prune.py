"""Cut a JSON value down to a budget: the longest lists first, the elements least asked for first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tokenomics_core.compression._json_text import CutList, CutObject, Json, Number, minified

__all__ = ["prune"]

_LONG_TEXT = 200
_FEW = 3
_Path = tuple[str | int, ...]


def prune(value: Json, fits: Callable[[Json], bool], score: Callable[[str], float]) -> Json | None:
    """Leave out elements of lists and entries of objects, then middles of long strings, until a value fits.

    Every list and object that was cut says how many it had. Among equals the first and the last stay longest.

    Args:
        value: What to cut; it is not changed.
        fits: Whether a value is short enough.
        score: How much is asked for an element, from its text; higher stays longer.

    Returns:
        The longest found that fits; None where nothing does.
    """
    given_up = set[_Path]()
    while not fits(value):
        path = _longest(value, (), given_up)
        if path is None:
            return None
        shorter = _shorten(value, path, fits, score)
        if shorter is None:
            given_up.add(path)
            continue
        value = shorter
    return value


def _longest(value: Json, path: _Path, given_up: set[_Path]) -> _Path | None:
    """Find the longest list, object of many or string that may still be cut."""
    best: tuple[int, _Path] | None = None
    open_values: list[tuple[Json, _Path]] = [(value, path)]
    while open_values:
        inner, place = open_values.pop()
        size = len(minified(inner)) if not isinstance(inner, str) else len(inner)
        if isinstance(inner, list):
            open_values += [(child, (*place, index)) for index, child in enumerate(inner)]
        elif isinstance(inner, dict):
            open_values += [(child, (*place, key)) for key, child in inner.items()]
        cuttable = place not in given_up and _may_be_cut(inner)
        if cuttable and (best is None or size > best[0]):
            best = (size, place)
    return best[1] if best else None


def _may_be_cut(value: Json) -> bool:
    if isinstance(value, list):
        return len(value) > 0
    if isinstance(value, dict):
        return len(value) > _FEW and all(isinstance(child, (dict, list)) for child in value.values())
    return isinstance(value, str) and not isinstance(value, Number) and len(value) > _LONG_TEXT


def _shorten(
    value: Json, path: _Path, fits: Callable[[Json], bool], score: Callable[[str], float]
) -> Json | None:
    """Cut what stands at a path as little as makes the whole fit, or else as far as it goes."""
    target = _at(value, path)
    if isinstance(target, str):
        # Strings about as long go together: one at a time, a thousand would take a thousand rounds.
        return None if _middle_cut(target) is None else _halved(value, len(target) // 2)
    if not isinstance(target, (list, dict)):
        return None
    ranked = _ranking(target, score)
    low, high = 0, len(ranked) - 1
    smallest = _with(value, path, _kept(target, []))
    if not fits(smallest):
        half = len(ranked) // 2
        return _with(value, path, _kept(target, ranked[:half]))
    while low < high:
        middle = (low + high + 1) // 2
        if fits(_with(value, path, _kept(target, ranked[:middle]))):
            low = middle
        else:
            high = middle - 1
    return _with(value, path, _kept(target, ranked[:low]))


def _ranking(target: list[Json] | dict[str, Json], score: Callable[[str], float]) -> list[int]:
    texts = (
        [minified(child) for child in target]
        if isinstance(target, list)
        else [f"{key} {minified(child)}" for key, child in target.items()]
    )
    last = len(texts) - 1
    return sorted(
        range(len(texts)), key=lambda index: (-score(texts[index]), min(index, last - index), index)
    )


def _kept(target: list[Json] | dict[str, Json], places: list[int]) -> Json:
    total = target.total if isinstance(target, (CutList, CutObject)) else len(target)
    chosen = set(places)
    if isinstance(target, list):
        return CutList((child for index, child in enumerate(target) if index in chosen), total)
    return CutObject({key: target[key] for index, key in enumerate(target) if index in chosen}, total)


def _halved(value: Json, least: int) -> Json:
    """Cut the middle out of every string of more than so many characters."""
    if isinstance(value, str) and not isinstance(value, Number) and len(value) > max(least, _LONG_TEXT):
        return _middle_cut(value) or value
    if isinstance(value, list):
        items = [_halved(child, least) for child in value]
        return CutList(items, value.total) if isinstance(value, CutList) else items
    if isinstance(value, dict):
        entries = {key: _halved(child, least) for key, child in value.items()}
        return CutObject(entries, value.total) if isinstance(value, CutObject) else entries
    return value


def _middle_cut(text: str) -> str | None:
    keep = len(text) // 4
    if keep < _LONG_TEXT // 4:
        return None
    return f"{text[:keep]} … {len(text) - 2 * keep} characters left out … {text[-keep:]}"


def _at(value: Json, path: _Path) -> Json:
    for step in path:
        holder: Any = value  # the path was found by walking this very value
        value = holder[step]
    return value


def _with(value: Json, path: _Path, new: Json) -> Json:
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(value, list) and isinstance(step, int):
        items = [_with(child, rest, new) if index == step else child for index, child in enumerate(value)]
        return CutList(items, value.total) if isinstance(value, CutList) else items
    if isinstance(value, dict):
        entries = {key: _with(child, rest, new) if key == step else child for key, child in value.items()}
        return CutObject(entries, value.total) if isinstance(value, CutObject) else entries
    return value
