"""Reduce a call to what an audit needs of it: times, counts, digests and flags."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

from tokenomics_core.cache import KeyRule, ServingRule
from tokenomics_core.cache.content_guards import DEFAULT_GUARDS, Content
from tokenomics_core.message_content import only_text
from tokenomics_core.tokens import count_tokens
from tokenomics_core.traffic._audit_part import AuditPart, PartWriter
from tokenomics_core.traffic._facts_context import ContextReader
from tokenomics_core.traffic._facts_digest import NOTHING, as_bytes, digest, message_bytes, settings_bytes
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.traffic._template_mask import STARTS, MaskedText, Masker
from tokenomics_core.types import Attribution, Usage

__all__ = ["FLAGS", "FactsReader", "audit_partition", "to_pico"]

FLAGS: Final[Mapping[str, int]] = {
    name: 1 << place
    for place, name in enumerate(
        ("paid", "direct", "ok", "cut", "calls_tools", "limited", "talk", "later", "content", "near", "told")
    )
}
"""What a call's `flags` hold.

`paid`: a model or a batch endpoint was paid. `direct`: a model was, at once. `ok`: it succeeded and its
answer is whole. `cut`: a limit cut its answer. `calls_tools`: the answer asks for tools. `limited`: its
output has a limit. `talk`: it belongs to a conversation. `later`: a turn of the assistant's stands in it.
`content`: the log keeps its messages. `near`: the response cache would serve and keep it by meaning.
`told`: its question can be read on its own.
"""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_CUT_SHORT: Final = frozenset({"length", "max_tokens", "max_output_tokens", "model_length", "incomplete"})
_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample")
_INSTRUCTS: Final = frozenset({"system", "developer"})
_NEAR_CHARS: Final = 1_000  # as the response cache: a longer text is too long for one vector
_TOLD_CHARS: Final = 2_000
_MOST_EXCERPTS: Final = 5_000
_MOST_INT: Final = 2**31 - 1
_MOST_USD: Final = 1_000_000
_LONGEST_S: Final = 30 * 86_400.0
_EXACT: Final = Context(prec=60)
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_BESIDE_COUNTS: Final = (
    *("input_audio_tokens", "output_audio_tokens", "cache_read_audio_tokens", "service_tier"),
    *("cache_write_5m_tokens", "extras", "context"),
)
_RULE: Final = ServingRule()
_NEUTRAL: Final = KeyRule().neutral_settings


def audit_partition(
    records: Iterable[TrafficRecord], *, bad: int = 0, problems: Sequence[str] = ()
) -> AuditPart:
    """Find out what an audit needs to know of some calls: the share of one worker.

    The calls may come in any order, and be parted among workers in any way: `merge_parts` gives the same
    audit.

    Args:
        records: The calls.
        bad: Lines that could not be read, where that is known before; a reader tells its own.
        problems: The first of them, quoted.
    """
    reader = FactsReader()
    for record in records:
        reader.add(record)
    return reader.part(
        bad=getattr(records, "bad", bad), problems=tuple(getattr(records, "problems", problems))[:20]
    )


class FactsReader:
    """Takes in calls one by one; of texts it keeps questions of up to 2,000 characters and nothing else."""

    def __init__(self) -> None:
        self._writer = PartWriter()
        self._masker = Masker(_count)
        self._contexts = ContextReader(_count)
        self._excerpts: set[int] = set()

    def __len__(self) -> int:
        return len(self._writer)

    def add(self, record: TrafficRecord) -> None:
        """Take in one call."""
        who, place = record.attribution, self._writer.place
        values, slots = self._of_request(record)
        at_us = _microseconds(record.at)
        values |= _counts(record.usage)
        values |= {
            "at_us": at_us,
            "end_us": at_us + _lasted_us(record.latency_s),
            "name": digest(as_bytes(record.id)) if record.id else NOTHING,
            "tie": digest(
                as_bytes(record.id),
                record.where.encode("utf-8", "surrogatepass"),
                (record.answer or "").encode("utf-8", "surrogatepass"),
            ),
            "own_pico": _own_pico(record.cost_usd),
            "model": place("models", json.dumps([record.model, record.provider])),
            "feature": _place_or_none(place, "features", who.feature),
            "user": _place_or_none(place, "users", who.user),
            "usage": self._usage(record.usage, is_batch=record.source == "batch"),
            "run": NOTHING if who.run is None else digest(_owner(who), as_bytes(who.run)),
        }
        self._writer.add(record.where, values, {"slots": slots, "loops": _loops(record)})

    def part(self, *, bad: int = 0, problems: Sequence[str] = ()) -> AuditPart:
        """Return what was taken in."""
        return self._writer.part(bad=bad, problems=problems)

    def _of_request(self, record: TrafficRecord) -> tuple[dict[str, int], tuple[int, ...]]:
        """Digest what was asked and what came back."""
        messages = record.messages
        flags = _plain_flags(record)
        if not messages:
            return {**_NO_CONTENT, "flags": flags}, ()
        texts = [only_text(message.get("content")) or "" for message in messages]
        use, told = self._contexts.read(messages, texts, record.answer, record.model)
        last = messages[-1]
        turn = only_text(last.get("content")) if last.get("role") == "user" else None
        if any(message.get("role") == "assistant" for message in messages):
            flags |= FLAGS["later"]
        if turn is not None and self._may_be_near(record, messages, turn):
            flags |= FLAGS["near"]
            told = turn
        if told.strip() and len(told) <= _TOLD_CHARS:
            flags |= FLAGS["told"]
        else:
            told = ""
        masked, slots = self._template(messages, texts, record.model)
        values: dict[str, int] = {
            **_keys(record, messages, told, is_near=bool(flags & FLAGS["near"])),
            "text": self._writer.place("texts", told) if told else -1,
            "repeated_tokens": use.repeated_tokens,
            "unused_tokens": use.unused_tokens,
            "passages": use.passages,
            "flags": flags | FLAGS["content"],
            **masked,
        }
        return values, slots

    def _template(
        self, messages: Sequence[Mapping[str, Any]], texts: Sequence[str], model: str
    ) -> tuple[dict[str, int], tuple[int, ...]]:
        """Digest the instructions, or how the first turn begins where there are none."""
        leading = next(
            (place for place, message in enumerate(messages) if message.get("role") not in _INSTRUCTS),
            len(messages),
        )
        system = "\n".join(texts[:leading])
        if system.strip():
            found = self._masker.mask(system, model)
            layout = self._writer.place("layouts", json.dumps(found.behind)) if found.behind else -1
        else:
            first = texts[leading][:600] if leading < len(texts) else ""
            found = self._masker.mask(first, "")._replace(template=NOTHING, slots=(), behind=())
            layout = -1
        self._excerpt(found)
        values = {"template": found.template, "layout": layout}
        values |= dict(zip(("start_5", "start_10", "start_20", "start_40"), found.starts, strict=True))
        return values, found.slots if found.behind else ()

    def _excerpt(self, found: MaskedText) -> None:
        """Keep how a template begins, once, and only of as many as anybody looks at."""
        words = found.excerpt.split()
        for key, length in zip((found.template, *found.starts), (len(words), *STARTS), strict=True):
            if key != NOTHING and key not in self._excerpts and len(self._excerpts) < _MOST_EXCERPTS:
                self._excerpts.add(key)
                # Of a beginning no more is told than what the calls share.
                self._writer.place("excerpts", f"{key}\t{' '.join(words[:length])}")

    def _may_be_near(self, record: TrafficRecord, messages: Sequence[Mapping[str, Any]], turn: str) -> bool:
        """Tell whether the response cache would serve the request by meaning and keep its answer."""
        if not turn.strip() or len(turn) > _NEAR_CHARS or record.outcome != "ok":
            return False
        how, _ = _RULE.judge(
            temperature=_number(record.settings.get("temperature")),
            has_media=any(
                message.get("content") and only_text(message["content"]) is None for message in messages
            ),
            n_answers=int(_number(record.settings.get("n")) or 1),
        )
        if how != "semantic":
            return False
        content = Content(
            stage="store",
            question=turn,
            answer=record.answer,
            payload=record.answer,
            finish_reason=None if record.finish_reason is None else record.finish_reason.lower(),
            has_tool_calls=bool(record.tool_calls),
            model=record.model,
        )
        return not any(guard.objects(content) for guard in DEFAULT_GUARDS)

    def _usage(self, usage: Usage, *, is_batch: bool) -> int:
        """Keep what is billed beside the usual counts, which is rare, as text."""
        many = (usage.input_tokens or 0) > _MOST_INT or (usage.output_tokens or 0) > _MOST_INT
        if not (is_batch or usage.batch or many or any(getattr(usage, name) for name in _BESIDE_COUNTS)):
            return -1
        beside = {**usage.to_dict(), "batch": True} if is_batch else usage.to_dict()
        beside.pop("notes", None)
        return self._writer.place("usages", json.dumps(beside, sort_keys=True))


def _keys(
    record: TrafficRecord, messages: Sequence[Mapping[str, Any]], told: str, *, is_near: bool
) -> dict[str, int]:
    """Digest what calls are compared by."""
    who, said = record.attribution, record.answer
    written = [message_bytes(message) for message in messages]
    before, asked = _signed(digest(*written[:-1])), _signed(digest(written[-1]))
    owner, tools = _owner(who), as_bytes(record.tools) if record.tools else b""
    settings = settings_bytes(record.settings, _NEUTRAL)
    partition = _signed(digest(owner, as_bytes(record.model), settings, tools, before))
    return {
        "request": digest(partition, asked),
        "before": digest(partition),
        "again": digest(owner, tools, before, asked),
        "block": digest(partition, *_numbers(told)) if is_near else NOTHING,
        "question": digest(asked),
        "user_request": NOTHING if who.user is None else digest(as_bytes(who.user)),
        "answer": digest(as_bytes(said), asked) if said and not record.tool_calls else NOTHING,
    }


def to_pico(usd: Decimal) -> int:
    """Return an amount in whole pico-dollars; what is smaller is rounded, half to even."""
    return int(_EXACT.scaleb(usd, 12).to_integral_value(rounding=ROUND_HALF_EVEN))


def _count(text: str, model: str) -> int:
    return int(count_tokens(text, model, download="never"))


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _counts(usage: Usage) -> dict[str, int]:
    """Return the usual counts; -1 where nobody reported them."""
    return {
        "input": _count_of(usage.input_tokens),
        "output": _count_of(usage.output_tokens),
        "cache_read": _count_of(usage.cache_read_tokens),
        "cache_write": _count_of(usage.cache_write_tokens),
        "cache_write_1h": _count_of(usage.cache_write_1h_tokens),
        "reasoning": _count_of(usage.reasoning_tokens),
    }


def _lasted_us(latency_s: float | None) -> int:
    if latency_s is None or not 0 < latency_s <= _LONGEST_S:  # also where it is no number
        return 0
    return int(latency_s * 1_000_000)


def _own_pico(usd: Decimal | None) -> int:
    """Return what the log says that a call cost; -1 where that cannot be."""
    if usd is None or not usd.is_finite() or not 0 <= usd < _MOST_USD:
        return -1
    return to_pico(usd)


def _count_of(count: int | None) -> int:
    return -1 if count is None else min(count, _MOST_INT)


def _place_or_none(place: Any, table: str, name: str | None) -> int:
    return -1 if name is None else int(place(table, name))


def _owner(who: Attribution) -> bytes:
    """Return whose call it is, as far as answers may not cross: tenant and project."""
    return as_bytes([who.tags.get("tenant"), who.project])


def _plain_flags(record: TrafficRecord) -> int:
    flags = 0
    if record.source != "cache":
        flags |= FLAGS["paid"]
    if record.source == "model":
        flags |= FLAGS["direct"]
    is_cut = (record.finish_reason or "").lower() in _CUT_SHORT
    if is_cut:
        flags |= FLAGS["cut"]
    if record.outcome == "ok" and not is_cut:
        flags |= FLAGS["ok"]
    if record.tool_calls:
        flags |= FLAGS["calls_tools"]
    if any(record.settings.get(name) for name in _LIMITS):
        flags |= FLAGS["limited"]
    if record.attribution.conversation is not None:
        flags |= FLAGS["talk"]
    return flags


def _loops(record: TrafficRecord) -> list[int]:
    """Digest the tool calls of an answer by name and arguments."""
    found = []
    for call in record.tool_calls:
        inner = call.get("function")
        what = inner if isinstance(inner, Mapping) else call
        arguments = what.get("arguments")
        if isinstance(arguments, str):
            with suppress(ValueError):
                arguments = json.loads(arguments)
        found.append(digest(as_bytes(what.get("name") or ""), as_bytes(arguments)))
    return found


def _numbers(question: str) -> list[bytes]:
    """Return a question's numbers; two questions with other numbers never have the same answer."""
    return sorted(found.replace(",", "").encode() for found in _NUMBER.findall(question))


def _signed(number: int) -> bytes:
    return number.to_bytes(8, "little", signed=True)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


_NO_CONTENT: Final = {
    **dict.fromkeys(("request", "again", "before", "block", "question"), NOTHING),
    **dict.fromkeys(("user_request", "answer"), NOTHING),
    **dict.fromkeys(("template", "start_5", "start_10", "start_20", "start_40"), NOTHING),
    **dict.fromkeys(("text", "layout"), -1),
    **dict.fromkeys(("repeated_tokens", "unused_tokens", "passages"), 0),
}
