"""Shorten an agent's tool results as they arrive; touch earlier turns only where that pays."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from langchain_tokenomics._context_ledger import MARK, mark_of
from langchain_tokenomics.history import as_mapping
from tokenomics_core.compression import (
    CompressedOutput,
    Document,
    HistoryEditor,
    OriginalStore,
    PrefixPrices,
    compress_tool_output,
)
from tokenomics_core.compression.stats import CompressionStats, CompressionTally
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook, default_price_book
from tokenomics_core.tokens import count_tokens

__all__ = ["CompressionEdit"]

_MOST_RESULTS, _MOST_CONVERSATIONS = 4_096, 256
_PLACEHOLDER = "[this result was cleared to save space; call the tool again if you need it]"


class CompressionEdit:
    """Sends tool results in fewer tokens: JSON as tables, logs by their kinds, HTML as its text.

    create_agent(model, tools, middleware=[ContextEditingMiddleware(edits=[CompressionEdit()])])

    A result is shortened when it is first sent and has the same bytes in every later call, also after a
    restart, so the provider's cached prefix stays whole. The thread keeps the original. Results that a tool
    marked as errors, and content that is no text, stay as they are.

    With `clear_old` results of earlier turns are cleared too, all at once from some place on, when that pays
    at the model's prices over the calls to come, and only as far as no series of calls ends dearer than
    without (see `HistoryEditor`).

    An open `track_cost` block credits each call with the tokens and dollars avoided.

    Args:
        lossless: Refuse to lose anything: only JSON is rewritten.
        max_tokens: The most tokens of one result; what its call asked for and errors stay longest.
        min_tokens: Shorter results stay as they are.
        exclude_tools: Names of tools whose results stay as they are.
        clear_old: Whether earlier results may be cleared.
        keep_results: How many of the last results are never cleared.
        expected_calls: How many calls are still to come; by default as many as there have been.
        model: Whose tokens to count, and whose prices decide about clearing.
        provider: Who serves it, for its price.
        prices: What calls cost; the shared price book where none is given.
        store: Keeps the originals of results that lost something; what is sent names the handle by which
            `restore_original` finds one.
        count: Counts the tokens of a text in another way.

    Raises:
        ConfigurationError: An argument cannot be, or `clear_old` is asked for a model without a known price.
    """

    def __init__(
        self,
        *,
        lossless: bool = False,
        max_tokens: int | None = None,
        min_tokens: int = 50,
        exclude_tools: Sequence[str] = (),
        clear_old: bool = False,
        keep_results: int = 3,
        expected_calls: float | None = None,
        model: str | None = None,
        provider: str | None = None,
        prices: PriceBook | None = None,
        store: OriginalStore | None = None,
        count: Callable[[str], int] | None = None,
    ) -> None:
        if isinstance(min_tokens, bool) or not isinstance(min_tokens, int) or min_tokens < 0:
            raise ConfigurationError(f"min_tokens must be 0 or more, not {min_tokens!r}")
        if isinstance(exclude_tools, str):
            raise ConfigurationError(f"exclude_tools must be a list of names, not {exclude_tools!r}")
        compress_tool_output("", max_tokens=max_tokens, lossless=lossless)
        self._lossless, self._max_tokens, self._min_tokens = lossless, max_tokens, min_tokens
        self._excluded, self._store = frozenset(exclude_tools), store
        self._count = count or (lambda text: int(count_tokens(text, model)))
        self._clearing: dict[str, Any] | None = None
        if clear_old:
            self._clearing = {
                "prices": _prices_of(model, provider, prices or default_price_book()),
                "keep_results": keep_results,
                "expected_calls": expected_calls,
                "placeholder": _PLACEHOLDER,
                "count": lambda messages: sum(self._count(_text_of(message)) for message in messages),
            }
            _Clearing(self._clearing)
        self._results: OrderedDict[str, CompressedOutput] = OrderedDict()
        self._editors: OrderedDict[str, _Clearing] = OrderedDict()
        self._tally = CompressionTally()
        self._lock = threading.Lock()

    def apply(
        self, messages: list[Any], *, count_tokens: Callable[[Sequence[BaseMessage]], int] | None = None
    ) -> None:
        """Replace tool results in a list by what is sent of them; no message object is changed."""
        given = list(messages)
        calls = _calls_in(messages)
        for place, message in enumerate(messages):
            if isinstance(message, ToolMessage):
                messages[place] = self._shortened(message, calls.get(message.tool_call_id))
        if self._clearing is not None:
            self._clear(given, messages)
        self._add(messages)

    def stats(self) -> CompressionStats:
        """Return what was done so far, in tokens of tool results over all calls."""
        return self._tally.stats()

    def _shortened(self, message: ToolMessage, call: Mapping[str, Any] | None) -> ToolMessage:
        name = message.name or (call or {}).get("name")
        if message.status == "error" or name in self._excluded or MARK in message.response_metadata:
            return message
        query = None if call is None else json.dumps(call.get("args"), sort_keys=True, default=str)
        if isinstance(message.content, str):
            done = self._compressed(message.content, query)
            content: Any = done.text
            outputs = [done]
        else:
            outputs, content = [], []
            for block in message.content:
                text = block.get("text") if isinstance(block, dict) and block.get("type") == "text" else None
                if isinstance(block, str) or not isinstance(text, str):
                    content.append(block)
                    continue
                outputs.append(self._compressed(text, query))
                content.append({**block, "text": outputs[-1].text})
        before = sum(output.tokens_before for output in outputs)
        after = sum(output.tokens_after for output in outputs)
        if after >= before:
            return message
        missing = [one for output in outputs for one in output.missing]
        mark = mark_of(before, after, lossless=all(output.lossless for output in outputs), missing=missing)
        return message.model_copy(
            update={"content": content, "response_metadata": {**message.response_metadata, MARK: mark}}
        )

    def _compressed(self, text: str, query: str | None) -> CompressedOutput:
        """Return what is sent of a text: a function of it and its call alone, worked out once."""
        said = json.dumps([text, query]).encode()
        key = hashlib.blake2b(said, digest_size=16).hexdigest()
        with self._lock:
            known = self._results.get(key)
        if known is not None:
            return known
        done = self._compress(text, query)
        with self._lock:
            self._results[key] = done
            while len(self._results) > _MOST_RESULTS:
                self._results.popitem(last=False)
        return done

    def _compress(self, text: str, query: str | None) -> CompressedOutput:
        before = self._count(text)
        if before < self._min_tokens:
            return CompressedOutput(text, "text", True, before, before)
        done = compress_tool_output(
            text, max_tokens=self._max_tokens, query=query, lossless=self._lossless, count=self._count
        )
        if self._store is None or done.lossless:
            return done
        handle = self._store.put(Document("tool result", text))
        named = f"{done.text}\n[shortened; handle of the original: {handle}]"
        after = self._count(named)
        if after >= before:
            return CompressedOutput(text, done.kind, True, before, before)
        return CompressedOutput(named, done.kind, False, before, after, done.missing)

    def _clear(self, given: Sequence[Any], messages: list[Any]) -> None:
        """Clear of the shortened messages what pays."""
        mappings = [self._clearable(message) for message in given]
        names = _names(mappings)
        edges = [at for at, message in enumerate(given) if at and isinstance(message, AIMessage)]
        with self._lock:
            clearing = self._editors.pop(names[edges[-1] - 1] if edges else "", None)
        fresh = clearing is None
        clearing = clearing or _Clearing(self._clearing or {})
        for old, new in zip(given, messages, strict=True):
            if old is not new and isinstance(old.content, str):
                clearing.short[old.content] = new.content
        # What an editor decides depends on its earlier decisions: a new one takes the calls so far again.
        for edge in edges if fresh else ():
            clearing.editor.edit(mappings[:edge])
        sent = clearing.editor.edit(mappings)
        with self._lock:
            self._editors[names[-1] if names else ""] = clearing
            while len(self._editors) > _MOST_CONVERSATIONS:
                self._editors.popitem(last=False)
        for place, (mapping, result) in enumerate(zip(mappings, sent, strict=True)):
            if result["content"] == _PLACEHOLDER != mapping["content"]:
                messages[place] = self._cleared(messages[place], _PLACEHOLDER)

    def _clearable(self, message: BaseMessage) -> dict[str, Any]:
        mapping = as_mapping(message)
        is_kept = isinstance(message, ToolMessage) and (
            message.status == "error" or message.name in self._excluded
        )
        if is_kept and isinstance(message.content, str):
            mapping["content"] = [{"type": "text", "text": message.content}]  # an editor clears texts only
        return mapping

    def _cleared(self, message: ToolMessage, placeholder: str) -> ToolMessage:
        told = message.response_metadata.get(MARK)
        before = told["tokens_before"] if told else self._count(str(message.content))
        mark = mark_of(before, self._count(placeholder), lossless=False, missing=["the whole result"])
        return message.model_copy(
            update={
                "content": placeholder,
                "artifact": None,
                "response_metadata": {**message.response_metadata, MARK: mark},
            }
        )

    def _add(self, messages: Sequence[Any]) -> None:
        before = after = 0
        for message in messages:
            if isinstance(message, ToolMessage):
                told = message.response_metadata.get(MARK)
                if told is None:
                    size = self._count(message.text)
                    before, after = before + size, after + size
                else:
                    before, after = before + told["tokens_before"], after + told["tokens_after"]
        self._tally.add(before, after)


class _Clearing:
    """What one conversation's editor remembers, and what was made of each result before it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.short: dict[str, str] = {}
        self.editor = HistoryEditor(shorten=lambda text: self.short.get(text, text), **settings)


def _prices_of(model: str | None, provider: str | None, prices: PriceBook) -> PrefixPrices:
    price = prices.price(model, provider) if model is not None else None
    if price is None:
        raise ConfigurationError(
            f"clear_old decides by price, and none is known for model={model!r}; nothing was set up"
        )
    return PrefixPrices.of(price)


def _text_of(mapping: Mapping[str, Any]) -> str:
    content, calls = mapping.get("content"), mapping.get("tool_calls")
    said = content if isinstance(content, str) else json.dumps(content, default=str)
    return said + json.dumps(calls, default=str) if calls else said


def _calls_in(messages: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
    return {
        str(call["id"]): call
        for message in messages
        if isinstance(message, AIMessage)
        for call in message.tool_calls
    }


def _names(mappings: Sequence[Mapping[str, Any]]) -> list[str]:
    digest = hashlib.blake2b(digest_size=16)
    names: list[str] = []
    for mapping in mappings:
        digest.update(json.dumps(mapping, sort_keys=True, default=str).encode("utf-8", "surrogatepass"))
        names.append(digest.hexdigest())
    return names
