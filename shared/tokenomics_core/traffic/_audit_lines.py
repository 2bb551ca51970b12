"""Where the money goes: calls in groups, the dearest first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from tokenomics_core.traffic._audit_money import from_pico, sum_by
from tokenomics_core.traffic._audit_result import AuditLine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokenomics_core.traffic._audit_frame import AuditFrame
    from tokenomics_core.traffic._audit_money import Money

    Ints = NDArray[np.int64]

__all__ = ["lines_of"]

_MOST_LINES: Final = 500
_HOUR_US: Final = 3_600_000_000
_DAY_US: Final = 24 * _HOUR_US


def lines_of(
    frame: AuditFrame, money: Money, templates: Ints, avoidable: Ints
) -> dict[str, tuple[AuditLine, ...]]:
    """Group the paid calls by every dimension.

    Args:
        frame: All calls.
        money: What they cost.
        templates: Each row's template.
        avoidable: What of each row's cost need not have been spent, in pico-dollars.
    """
    paid = np.flatnonzero(frame.has("paid"))
    total = sum(sum_by(np.zeros(len(paid), np.int64), np.maximum(money.cost[paid], 0), 1))
    names = frame.names
    models = [frame.model_of(code)[0] for code in range(len(names["models"]))]
    excerpts = frame.excerpts()
    keys, template_codes = np.unique(templates[paid], return_inverse=True)
    template_names = [None if key == 0 else f"{key & (2**64 - 1):016x}" for key in keys.tolist()]
    template_labels = [excerpts.get(key, "") for key in keys.tolist()]
    model_names, model_codes = _merged(models, money.models[paid])
    days, day_codes = np.unique(frame.at_us[paid] // _DAY_US, return_inverse=True)
    day_names = [datetime.fromtimestamp(day * 86_400, UTC).date().isoformat() for day in days.tolist()]
    hours = (frame.at_us[paid] % _DAY_US) // _HOUR_US
    by: dict[str, tuple[list[str | None], list[str] | None, NDArray[np.int64]]] = {
        "model": (model_names, None, model_codes),
        "feature": _named(names["features"], frame.column("feature")[paid]),
        "user": _named(names["users"], frame.column("user")[paid]),
        "template": (template_names, template_labels, template_codes),
        "hour": ([f"{hour:02d}" for hour in range(24)], None, hours),
        "day": ([*day_names], None, day_codes),
    }
    return {
        dimension: _lines(money, paid, avoidable, total, keys, labels, codes)
        for dimension, (keys, labels, codes) in by.items()
    }


def _merged(names: list[str], codes: NDArray[np.int32]) -> tuple[list[str | None], Ints]:
    """Put the same model of several providers on one line."""
    every: list[str | None] = [*sorted(set(names))]
    place = np.array([every.index(name) for name in names], np.int64)
    return every, place[codes] if len(codes) else np.empty(0, np.int64)


def _named(names: list[str], codes: NDArray[np.int32]) -> tuple[list[str | None], None, Ints]:
    """Give the calls of nobody a place of their own, the last."""
    return [*names, None], None, np.where(codes < 0, len(names), codes).astype(np.int64)


def _lines(
    money: Money,
    paid: Ints,
    avoidable: Ints,
    total: int,
    keys: list[str | None],
    labels: list[str] | None,
    codes: NDArray[np.int64],
) -> tuple[AuditLine, ...]:
    groups = len(keys)
    cost = money.cost[paid]
    columns = {
        "calls": np.bincount(codes, minlength=groups).tolist(),
        "unpriced_calls": np.bincount(codes[cost < 0], minlength=groups).tolist(),
        "usd": sum_by(codes, np.maximum(cost, 0), groups),
        "avoidable_usd": sum_by(codes, avoidable[paid], groups),
        **{
            name: sum_by(codes, np.maximum(tokens[paid], 0).astype(np.int64), groups)
            for name, tokens in (
                ("input_tokens", money.input),
                ("cache_read_tokens", money.cache_read),
                ("output_tokens", money.output),
            )
        },
    }
    places = [place for place in range(groups) if columns["calls"][place]]
    places.sort(key=lambda place: (-columns["usd"][place], -columns["calls"][place], keys[place] or ""))

    def line(key: str | None, label: str, these: list[int], rest: int = 0) -> AuditLine:
        sums = {name: sum(values[place] for place in these) for name, values in columns.items()}
        usd, avoidable_usd = from_pico(sums.pop("usd")), from_pico(sums.pop("avoidable_usd"))
        share = float(usd / from_pico(total)) if total else 0.0
        return AuditLine(
            key=key, label=label, usd=usd, avoidable_usd=avoidable_usd, share=share, rest=rest, **sums
        )

    shown = [
        line(keys[place], (labels[place] if labels else keys[place]) or "", [place])
        for place in places[:_MOST_LINES]
    ]
    if more := places[_MOST_LINES:]:
        shown.append(line(None, f"{len(more):,} more", more, rest=len(more)))
    return tuple(shown)
