"""Send of a conversation what the next answer needs: instructions, the last turns, the ones asked about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from tokenomics_core.compression._history_job import HistoryJob
from tokenomics_core.compression._history_report import CompressedHistory
from tokenomics_core.compression._summary import RollingSummary
from tokenomics_core.compression._turns import Message, check_messages
from tokenomics_core.embedding import Embedder, StaticEmbedder
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens import count_tokens

__all__ = ["acompress_history", "compress_history"]


def compress_history(
    messages: Iterable[Message],
    query: str | None = None,
    *,
    max_tokens: int,
    keep_last: int = 4,
    pin_goal: bool = True,
    about: Sequence[str] | None = None,
    embedder: Embedder | None = None,
    multilingual: bool = False,
    by_meaning: bool = True,
    recency: float = 0.3,
    notes: bool = True,
    note_role: str = "user",
    note_share: float = 0.05,
    summarize: RollingSummary | None = None,
    model: str | None = None,
    tools: Iterable[Any] | None = None,
    count: Callable[[Sequence[Message]], int] | None = None,
) -> CompressedHistory:
    """Keep of a conversation its instructions, its last turns and the earlier ones that a question is about.

    What is kept is kept whole, unchanged and in order. A call of tools and its results stay or go together.
    Where everything fits, everything stays. Otherwise the room goes to, in this order: system and developer
    messages and the last turn; the user's last message; the `keep_last` last messages; the user's first
    message, if it takes a quarter of what is left at most; then turns by relevance. What is left out is said
    in a note that quotes decisions and figures from it; a note of an earlier compression is taken into it.
    What a user opens is not sent with an assistant's words first, where anything of the user's or a note
    fits. The same input gives the same output.

    An embedder that fails costs its help only: the report's remarks say so.

    Args:
        messages: Mappings as OpenAI's or Anthropic's interface takes them; they are not changed.
        query: What is asked now; by default the user's last words.
        max_tokens: The most tokens to send, everything included.
        keep_last: How many last messages stay, where they fit; the last turn always does.
        pin_goal: Whether the user's first message is preferred.
        about: What each message stands under, such as the date of its session: read when turns are judged,
            not sent. Neighbours with the same are one session.
        embedder: Compares meanings; the built-in one where none is given.
        multilingual: Whether `embedder` reads other languages than English; conversations in others are
            judged by their words where it does not.
        by_meaning: Whether to ask an embedder at all.
        recency: How many spreads of the scores the newest turn is ahead of the oldest; 0 or more.
        notes: Whether to say what is left out.
        note_role: Who says it. `user` by default: quoted words must not gain the weight of instructions.
        note_share: The share of `max_tokens` that the note may take, a summary not included.
        summarize: Writes a summary of older turns with a model, where that pays.
        model: Whose tokens to count.
        tools: Schemas that are sent along, counted into the budget.
        count: Counts the tokens of messages in another way; `model` and `tools` are then not read.

    Raises:
        ConfigurationError: An argument cannot be, or instructions and last turn alone need more than
            `max_tokens`; nothing was compressed.
    """
    job = _job(
        messages, query, max_tokens, keep_last, pin_goal, about, multilingual, by_meaning, recency,
        notes, note_role, note_share, summarize, model, tools, count,
    )  # fmt: skip
    if job.is_whole:
        return job.whole()
    vectors = None
    if texts := job.texts:
        try:
            vectors = np.asarray((embedder or _built_in()).embed(texts))
        except Exception as error:  # noqa: BLE001 - an embedder may fail in any way, and only its help is lost
            job.give_up("embedder", error)
    job.judge(vectors)
    if summarize is not None:
        job.hear(summarize.refresh(job.older, job.tokens_behind))
    return job.finish()


async def acompress_history(
    messages: Iterable[Message],
    query: str | None = None,
    *,
    max_tokens: int,
    keep_last: int = 4,
    pin_goal: bool = True,
    about: Sequence[str] | None = None,
    embedder: Embedder | None = None,
    multilingual: bool = False,
    by_meaning: bool = True,
    recency: float = 0.3,
    notes: bool = True,
    note_role: str = "user",
    note_share: float = 0.05,
    summarize: RollingSummary | None = None,
    model: str | None = None,
    tools: Iterable[Any] | None = None,
    count: Callable[[Sequence[Message]], int] | None = None,
) -> CompressedHistory:
    """Do what `compress_history` does without blocking the event loop.

    Embedder and summary are awaited; the rest runs in a thread.
    """
    job = await asyncio.to_thread(
        _job,
        messages, query, max_tokens, keep_last, pin_goal, about, multilingual, by_meaning, recency,
        notes, note_role, note_share, summarize, model, tools, count,
    )  # fmt: skip
    if job.is_whole:
        return job.whole()
    vectors = None
    if texts := job.texts:
        try:
            vectors = np.asarray(await (embedder or _built_in()).aembed(texts))
        except Exception as error:  # noqa: BLE001 - an embedder may fail in any way, and only its help is lost
            job.give_up("embedder", error)
    await asyncio.to_thread(job.judge, vectors)
    if summarize is not None:
        job.hear(await summarize.arefresh(job.older, job.tokens_behind))
    return await asyncio.to_thread(job.finish)


@cache
def _built_in() -> Embedder:
    return StaticEmbedder()


def _job(
    messages: Iterable[Message],
    query: str | None,
    max_tokens: int,
    keep_last: int,
    pin_goal: bool,
    about: Sequence[str] | None,
    multilingual: bool,
    by_meaning: bool,
    recency: float,
    notes: bool,
    note_role: str,
    note_share: float,
    summarize: RollingSummary | None,
    model: str | None,
    tools: Iterable[Any] | None,
    count: Callable[[Sequence[Message]], int] | None,
) -> HistoryJob:
    found = check_messages(messages)
    schemas = None if tools is None else list(tools)
    _check(max_tokens, keep_last, recency, note_share, note_role, query)
    if about is not None and (isinstance(about, str) or len(about) != len(found)):
        raise ConfigurationError(
            f"about must have one text for each of the {len(found)} messages, not {about!r:.80}; "
            "nothing was compressed"
        )
    if summarize is not None and not isinstance(summarize, RollingSummary):
        raise ConfigurationError(f"summarize must be a RollingSummary or None, not {summarize!r:.80}")
    job = HistoryJob(
        found,
        max_tokens,
        count or (lambda some: int(count_tokens(some, model, tools=schemas))),
        note_role if notes else None,
        int(note_share * max_tokens),
    )
    if not job.is_whole:
        job.begin(query, keep_last, about or [""] * len(found), pin_goal=pin_goal)
        job.read(recency=recency, multilingual=multilingual, by_meaning=by_meaning)
    return job


def _check(
    max_tokens: int, keep_last: int, recency: float, note_share: float, note_role: str, query: str | None
) -> None:
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 1:
        raise ConfigurationError(f"max_tokens must be 1 or more, not {max_tokens!r}; nothing was compressed")
    if isinstance(keep_last, bool) or not isinstance(keep_last, int) or keep_last < 1:
        raise ConfigurationError(f"keep_last must be 1 or more, not {keep_last!r}; nothing was compressed")
    if not isinstance(recency, (int, float)) or not 0 <= recency < float("inf"):
        raise ConfigurationError(f"recency must be 0 or more, not {recency!r}; nothing was compressed")
    if not isinstance(note_share, (int, float)) or not 0 <= note_share <= 1:
        raise ConfigurationError(
            f"note_share must be from 0 to 1, not {note_share!r}; nothing was compressed"
        )
    if note_role not in ("user", "system", "developer", "assistant"):
        raise ConfigurationError(f"note_role must be user, system, developer or assistant, not {note_role!r}")
    if query is not None and not isinstance(query, str):
        raise ConfigurationError(f"query must be a text or None, not {query!r:.80}; nothing was compressed")
