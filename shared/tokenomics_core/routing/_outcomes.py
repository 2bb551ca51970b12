"""What is known of how good answers were, in the forms in which people have it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.errors import ConfigurationError

__all__ = ["OutcomeRecord", "outcome_arrays", "record_of"]

_THUMBS = {"up": 1.0, "down": 0.0, "👍": 1.0, "👎": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRecord:
    """What is known of the answers to one question.

    Attributes:
        text: The question.
        outcomes: By tier how good its answer was: True or False, a score in [0, 1], `"up"` or `"down"`. Tiers
            that were not asked are left out.
        better: The tier whose answer was preferred, where two were compared; taken as good enough.
        worse: The other tier; taken as not good enough.
        tie: Two tiers whose answers were found equal; both are taken as good enough.
        task: What kind of task it was, as a `TaskTable` reads it.
        costs_usd: By tier what its answer cost, as an evaluation reads it.
        history: Earlier messages as (role, text).
        tools: Names of the tools on offer.
    """

    text: str
    outcomes: Mapping[str, bool | float | str] = field(default_factory=dict)
    better: str | None = None
    worse: str | None = None
    tie: tuple[str, str] | None = None
    task: str | None = None
    costs_usd: Mapping[str, float] = field(default_factory=dict)
    history: Sequence[tuple[str, str]] = ()
    tools: Sequence[str] = ()

    def scores(self) -> dict[str, float]:
        """Turn whatever is known into a score in [0, 1] by tier.

        Raises:
            ConfigurationError: An outcome is none of the forms above.
        """
        found = {tier: _score(tier, value) for tier, value in self.outcomes.items()}
        for tier, value in ((self.better, 1.0), (self.worse, 0.0)):
            if tier is not None:
                found.setdefault(tier, value)
        for tier in self.tie or ():
            found.setdefault(tier, 1.0)
        return found


def outcome_arrays(
    records: Iterable[OutcomeRecord | Mapping[str, Any]],
) -> tuple[list[str], dict[str, NDArray[np.float64]]]:
    """Turn records into questions and, by tier in order of appearance, their scores (NaN where not asked).

    Raises:
        ConfigurationError: A record cannot be read, or no tier appears in any; nothing was learned.
    """
    kept = [record_of(number, record) for number, record in enumerate(records, start=1)]
    texts = [record.text for record in kept]
    rows = [record.scores() for record in kept]
    tiers = list(dict.fromkeys(tier for row in rows for tier in row))
    if not tiers:
        raise ConfigurationError("no record names a tier's outcome; nothing was learned")
    return texts, {tier: np.array([row.get(tier, math.nan) for row in rows]) for tier in tiers}


def record_of(number: int, raw: OutcomeRecord | Mapping[str, Any]) -> OutcomeRecord:
    """Read one record, the `number`-th, and check it.

    Raises:
        ConfigurationError: It cannot be read; nothing was learned.
    """
    try:
        record = raw if isinstance(raw, OutcomeRecord) else OutcomeRecord(**raw)
        record.scores()
    except (TypeError, AttributeError, ConfigurationError) as error:
        raise ConfigurationError(f"record {number} cannot be read ({error}); nothing was learned") from error
    if not isinstance(record.text, str):
        raise ConfigurationError(f"record {number}: text must be text, not {record.text!r:.80}")
    return record


def _score(tier: str, value: object) -> float:
    if isinstance(value, str) and value in _THUMBS:
        return _THUMBS[value]
    if isinstance(value, Real) and 0 <= float(value) <= 1:
        return float(value)
    raise ConfigurationError(
        f"the outcome of {tier!r} must be True, False, 'up', 'down' or in [0, 1], not {value!r:.80}"
    )
