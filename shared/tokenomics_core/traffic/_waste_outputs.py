"""Answers that ran on because nothing stopped them, and models dearer than their questions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.traffic._audit_frame import groups_of
from tokenomics_core.traffic._audit_template import follows_talk
from tokenomics_core.traffic._waste_found import Found, nothing_found

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokenomics_core.traffic._audit_frame import AuditFrame
    from tokenomics_core.traffic._audit_money import Money

    Ints = NDArray[np.int64]

__all__ = ["CHEAP_GAIN", "dear_model", "unbounded_outputs"]

_TIMES_MEDIAN: Final = 4
_PERCENTILE: Final = 95
_LEAST_CALLS: Final = 20
"""Of fewer calls nobody knows the 95th percentile."""
CHEAP_GAIN: Final = 0.15
"""A question is easy where a strong model's chance of a good answer is at most so much higher.

The shipped weights give 0.04 to 0.15 to short requests of daily work and 0.19 and more to cases at law;
`docs/audit.md` says what that is worth."""
_DEAR: Final = 2.0
"""A model is dear beside one that costs at most half, for input and for output."""
_TEXTS_AT_ONCE: Final = 20_000


def unbounded_outputs(frame: AuditFrame, money: Money) -> Found:
    """Find calls without a limit whose output is far above their feature's.

    What they wasted is what lies above the 95th percentile. Features of fewer than 20 answers are left out.
    """
    whole = frame.has("ok") | frame.has("cut")
    answered = np.flatnonzero(whole & frame.has("direct") & (money.output > 0))
    if len(answered) < _LEAST_CALLS:
        return nothing_found()
    order, starts = groups_of(frame.column("feature")[answered])
    free = frame.lacks("limited") & (money.output_cost > 0)
    rows: list[Ints] = []
    picos: list[Ints] = []
    for members in np.split(answered[order], starts[1:]):
        if len(members) < _LEAST_CALLS:
            continue
        tokens = money.output[members].astype(np.float64)
        usual, high = float(np.median(tokens)), float(np.percentile(tokens, _PERCENTILE))
        over = (tokens > _TIMES_MEDIAN * usual) & (tokens > high) & free[members]
        wasted = members[over]
        rows.append(wasted)
        share = 1 - high / tokens[over]
        picos.append(np.rint(money.output_cost[wasted] * share).astype(np.int64))
    if not rows:
        return nothing_found()
    found, pico = np.concatenate(rows), np.concatenate(picos)
    sequence = np.argsort(found)
    found, pico = found[sequence], pico[sequence]
    return Found(found[pico > 0], pico[pico > 0])


def dear_model(frame: AuditFrame, money: Money, cheaper: Mapping[str, str]) -> Found:
    """Find easy questions that went to a dear model; the difference to the same tokens on the cheap one.

    Only first turns are judged: how hard "and why?" is, stands in what was said before.

    Args:
        frame: All calls.
        money: What they cost.
        cheaper: By model the one to compare with; others are compared with the cheaper model of the same
            provider that the log uses most.
    """
    asked = frame.has("direct", "told", "ok") & frame.lacks("calls_tools") & ~follows_talk(frame)
    asked &= money.cost > 0
    instead = _cheaper_models(frame, money, cheaper)
    rows = np.flatnonzero(asked & np.isin(money.models, sorted(instead)))
    if not len(rows):
        return nothing_found()
    easy, chance = _easy(frame, rows)
    rows, chance = rows[easy], chance[easy]
    saved = np.zeros(len(rows), np.int64)
    for model in np.unique(money.models[rows]).tolist():
        here = np.flatnonzero(money.models[rows] == model)
        cost = money.cost_as(rows[here], model=instead[model])
        saved[here] = np.where(cost >= 0, np.maximum(money.cost[rows[here]] - cost, 0), 0)
    kept = saved > 0
    pairs = ", ".join(
        f"{frame.model_of(dear)[0]} → {frame.model_of(cheap)[0]}" for dear, cheap in sorted(instead.items())
    )
    probability = float(chance[kept].mean()) if kept.any() else None
    return Found(rows[kept], saved[kept], probability, pairs)


def _easy(frame: AuditFrame, rows: Ints) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Tell which questions are clearly easy, and the cheap model's chance of a good answer."""
    from tokenomics_core.routing import DifficultyClassifier  # noqa: PLC0415 - loads its weights

    classifier = DifficultyClassifier.pretrained()
    easy, chance = np.zeros(len(rows), np.bool_), np.zeros(len(rows))
    known: dict[str, tuple[float, float]] = {}
    for start in range(0, len(rows), _TEXTS_AT_ONCE):
        texts = frame.texts(rows[start : start + _TEXTS_AT_ONCE])
        new = sorted(set(texts) - known.keys())
        if len(known) > 10 * _TEXTS_AT_ONCE:
            known, new = {}, sorted(set(texts))
        chances = classifier.predict_proba(new)
        known |= {text: (float(each[0]), float(each[-1])) for text, each in zip(new, chances, strict=True)}
        for place, text in enumerate(texts, start):
            weak, strong = known[text]
            easy[place] = strong - weak <= CHEAP_GAIN
            chance[place] = weak
    return easy, chance


def _cheaper_models(frame: AuditFrame, money: Money, named: Mapping[str, str]) -> dict[int, int]:
    """Return, by dear model, the cheaper one to compare with."""
    direct = frame.has("direct") & (money.cost > 0)
    codes, calls = np.unique(money.models[direct], return_counts=True)
    many = dict(zip(codes.tolist(), calls.tolist(), strict=True))
    last = frame.at(frame.rows - 1)
    rates: dict[int, tuple[str, float, float]] = {}
    for code in many:
        price, provider = money.price_of_model(code, last), money.provider_of_model(code)
        if price is None or provider is None:
            continue
        if price.input_usd_per_mtok is None or price.output_usd_per_mtok is None:
            continue
        rates[code] = provider, float(price.input_usd_per_mtok), float(price.output_usd_per_mtok)
    found: dict[int, int] = {}
    for code, (provider, input_usd, output_usd) in rates.items():
        name = frame.model_of(code)[0]
        if name in named:
            found[code] = _code_of(frame, named[name], code)
            continue
        cheap = [
            other
            for other, (whose, less_in, less_out) in rates.items()
            if whose == provider and less_in * _DEAR <= input_usd and less_out * _DEAR <= output_usd
        ]
        if cheap:
            found[code] = max(cheap, key=lambda other: (many[other], frame.names["models"][other]))
    return found


def _code_of(frame: AuditFrame, name: str, dear: int) -> int:
    """Return the place of a model that the caller names, adding it where the log does not use it."""
    import json  # noqa: PLC0415 - only for a model of the caller's

    provider = frame.model_of(dear)[1]
    for key in (json.dumps([name, provider]), json.dumps([name, None])):
        if key in frame.names["models"]:
            return frame.names["models"].index(key)
    if not name:
        raise ConfigurationError("cheaper must name models, not ''; nothing was compared")
    frame.names["models"].append(json.dumps([name, provider]))
    return len(frame.names["models"]) - 1
