"""Turn raw counts into one valid `Usage`, mending what cannot be true."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from tokenomics_core.types import Usage
from tokenomics_core.usage._fields import note_problem

__all__ = ["build_usage", "outside"]

_NOTHING: Mapping[str, int | float | Decimal] = {}


def outside(whole: int | None, parts: int | None, rest: int | None, total: int | None) -> bool:
    """Tell whether a provider's own total only adds up with `parts` beside `whole`, not inside it."""
    return whole is not None and bool(parts) and total == whole + (parts or 0) + (rest or 0)


def build_usage(
    *,
    input_tokens: int | None,
    output_tokens: int | None,
    cache_read: int | None = None,
    cache_write: int | None = None,
    cache_write_5m: int | None = None,
    cache_write_1h: int | None = None,
    reasoning: int | None = None,
    input_audio: int | None = None,
    output_audio: int | None = None,
    cache_read_audio: int | None = None,
    service_tier: str | None = None,
    extras: Mapping[str, int | float | Decimal] = _NOTHING,
    context: Mapping[str, str] | None = None,
) -> Usage | None:
    """Assemble a usage; counts are inclusive, that is parts are inside their wholes.

    What cannot be true is mended toward the larger bill and noted, on the usage and in the log: a part
    above its whole means that the whole left it out, so it is added. All zeros mean that nothing was
    reported.
    """
    if not (input_tokens or output_tokens or any(extras.values())):
        return None
    notes: list[str] = []
    lifetimes = (cache_write_5m or 0) + (cache_write_1h or 0)
    if lifetimes > (cache_write or 0):
        cache_write = lifetimes
    cached = (cache_read or 0) + (cache_write or 0)
    if input_tokens is not None and cached > input_tokens:
        note_problem(
            "cache above input", f"{cached} cached of {input_tokens} input tokens; added to the input"
        )
        notes.append("more tokens were reported as cached than as input; they were added to the input")
        input_tokens += cached
    if reasoning and output_tokens is not None and reasoning > output_tokens:
        note_problem("reasoning above output", f"{reasoning} of {output_tokens} output tokens; added")
        notes.append("more tokens were reported as reasoning than as output; they were added to the output")
        output_tokens += reasoning
    input_audio = _at_most(input_audio, input_tokens, notes)
    output_audio = _at_most(output_audio, output_tokens, notes)
    cache_read_audio = _at_most(cache_read_audio, cache_read, notes)
    batch = service_tier == "batch"
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        cache_write_5m_tokens=cache_write_5m,
        cache_write_1h_tokens=cache_write_1h,
        reasoning_tokens=reasoning,
        input_audio_tokens=input_audio,
        output_audio_tokens=output_audio,
        cache_read_audio_tokens=cache_read_audio,
        service_tier=None if batch else service_tier,
        batch=batch,
        extras={name: value for name, value in extras.items() if value},
        context=context or {},
        notes=tuple(notes),
    )


def _at_most(part: int | None, whole: int | None, notes: list[str]) -> int | None:
    if part is None or whole is None or part <= whole:
        return part
    note_problem("audio above its whole", f"{part} audio tokens of {whole}; cut to {whole}")
    notes.append("more tokens were reported as audio than in all; the audio was cut to the whole")
    return whole
