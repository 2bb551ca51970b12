"""See what a chain's run consumes and draws on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.outputs import LLMResult

from langchain_tokenomics._cache_codec import DONE, finish_reason_of
from langchain_tokenomics._messages import call_end
from tokenomics_core.observability import CallEnd
from tokenomics_core.types import Usage

__all__ = ["ChainWatch"]


class ChainWatch(BaseCallbackHandler):
    """Notes every model call's end and every retrieved document of one run, from any thread."""

    run_inline = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: list[CallEnd] = []
        self._sources: dict[str, None] = {}
        self._reasons: list[str | None] = []

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Note a model's answer."""
        given = [generation for generations in response.generations for generation in generations]
        with self._lock:
            self._ends.append(call_end(response))
            self._reasons.append(finish_reason_of(given))

    def on_retriever_end(self, documents: Sequence[Document], **kwargs: Any) -> None:
        """Note what was retrieved."""
        with self._lock:
            for document in documents:
                for name in (document.id, document.metadata.get("source")):
                    if isinstance(name, str) and name:
                        self._sources[name] = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids and `source` metadata of the retrieved documents."""
        with self._lock:
            return tuple(self._sources)

    @property
    def finish_reason(self) -> str | None:
        """Why a model stopped that did not end by itself: cut off, filtered, refused; None where all did."""
        with self._lock:
            return next((reason for reason in self._reasons if reason and reason not in DONE), None)

    @property
    def spent(self) -> tuple[str | None, Usage | None]:
        """The model and what it consumed in all; None where several were asked, or one did not tell."""
        with self._lock:
            paid = [end for end in self._ends if not end.from_cache]
        models = {end.model for end in paid}
        if len(models) != 1 or any(end.usage is None for end in paid):
            return None, None
        return models.pop(), _sum([end.usage for end in paid if end.usage is not None])


def _sum(usages: Sequence[Usage]) -> Usage:
    """Add up counts; one that a call did not report is left out of the sum only where no call reported it."""
    if len(usages) == 1:
        return usages[0]

    def total(name: str) -> int | None:
        known = [value for usage in usages if (value := getattr(usage, name)) is not None]
        return sum(known) if known else None

    return Usage(
        input_tokens=total("input_tokens"),
        output_tokens=total("output_tokens"),
        cache_read_tokens=total("cache_read_tokens"),
        cache_write_tokens=total("cache_write_tokens"),
        reasoning_tokens=total("reasoning_tokens"),
        estimated=any(usage.estimated for usage in usages),
    )
