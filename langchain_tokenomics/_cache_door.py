"""From a LangChain call to a place in the cache, and back."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, Generation
from pydantic import SecretStr

from langchain_tokenomics._cache_codec import Stored, answer_of, read_answer
from langchain_tokenomics._cache_mark import mark_of
from langchain_tokenomics._cache_request import NEUTRAL, read_messages, read_setup, request_of
from tokenomics_core.cache import Answer, ChatRequest, Hit, KeyRule, ResponseCache
from tokenomics_core.types import current_attribution

__all__ = ["Asked", "Door", "default_tenant"]

_log = logging.getLogger("tokenomics")
_HOWS = ("semantic", "exact", "never")


def default_tenant() -> str | None:
    """Return the tag `tenant` of the attribution in force."""
    return current_attribution().tags.get("tenant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Where the answer to a call is looked for.

    Attributes:
        partition: What must be equal.
        question: What is compared.
        how: How it may be served at most.
        why: Why not by meaning; empty where it may be.
        model: Which model is asked.
        tenant: Who asks.
    """

    partition: str
    question: str
    how: Any
    why: str
    model: str | None
    tenant: str | None


class Door:
    """Reads calls, writes answers, and keeps what fails on the way from whoever calls.

    Args:
        cache: Where answers live.
        rule: What must be equal, and which requests are served how.
        tenant: Whose answers these are.
        text_prompts: How prompts without roles may be served at most.
    """

    def __init__(
        self,
        cache: ResponseCache,
        rule: KeyRule,
        tenant: Callable[[], str | None],
        text_prompts: str,
    ) -> None:
        self.cache, self.rule, self.tenant, self.text_prompts = cache, rule, tenant, text_prompts
        self.failures = 0
        self._told: set[str] = set()
        self._lock = threading.Lock()

    # -- reading calls

    def asked_by_key(self, prompt: str, llm_string: str) -> Asked:
        """Read the two strings that LangChain gives its caches."""
        request, is_chat = request_of(prompt, llm_string, self.tenant())
        return self.placed(request, most="semantic" if is_chat else self.text_prompts)

    def asked_of_model(
        self, model: BaseChatModel, messages: Sequence[BaseMessage], stop: Any, kwargs: Mapping[str, Any]
    ) -> Asked:
        """Read a call of a model itself, whose schema class, fields and account can be seen."""
        told = {name: value for name, value in kwargs.items() if name not in NEUTRAL}
        schema = told.pop("response_format", None)
        setup = read_setup(model._get_llm_string(stop=stop, **told))  # noqa: SLF001 - LangChain's own key, shared with its caches
        tenant = self.tenant()
        listed = read_messages(dumps(list(messages)))
        request = ChatRequest(
            messages=listed or [],
            model=setup.model,
            settings=None if not listed else setup.settings,
            tools=setup.tools,
            response_schema=schema if schema is not None else setup.schema,
            tenant=tenant,
            extra={"langchain": "chat", "other": setup.other, **_seen_on(model, tenant)},
        )
        return self.placed(request)

    def placed(self, request: ChatRequest, *, most: str = "semantic") -> Asked:
        """Say where the answer to a request is looked for."""
        key = self.rule.key_of(request)
        how, why = key.how, key.why
        if _HOWS.index(most) > _HOWS.index(how):
            how, why = most, "it is a prompt without roles"  # type: ignore[assignment]  # one of _HOWS
        if how == "never":
            self._tell_once(why)
        return Asked(
            partition=key.partition,
            question=key.question,
            how=how,
            why=why,
            model=request.model,
            tenant=request.tenant,
        )

    # -- reading and writing answers

    def read(self, hit: Hit) -> Stored | None:
        """Return the answer of a hit, new in all that must be new each time."""
        return read_answer(hit.payload, mark_of(hit))

    def written(
        self,
        asked: Asked,
        generations: Sequence[Generation],
        chunks: Sequence[ChatGenerationChunk] | None = None,
    ) -> Answer | None:
        """Return a fresh answer as it is stored."""
        answer = answer_of(generations, chunks=chunks, model=asked.model, tenant=asked.tenant)
        if answer is None:
            self._tell_once("an answer holds what cannot be written down as JSON")
        return answer

    def how_to_store(self, asked: Asked, answer: Answer) -> Any:
        """Keep what calls tools from questions that are only alike: their arguments differ."""
        return "exact" if answer.has_tool_calls and asked.how == "semantic" else asked.how

    def failed(self, error: Exception) -> None:
        """Count and log what would otherwise break a call that has nothing to do with it."""
        with self._lock:
            self.failures += 1
        _log.warning("the response cache was left out of a call: %r", error)

    def _tell_once(self, why: str) -> None:
        with self._lock:
            if why in self._told or len(self._told) > 32:
                return
            self._told.add(why)
        _log.info("a call is not cached: %s", why)


def _seen_on(model: BaseChatModel, tenant: str | None) -> dict[str, Any]:
    """Return what LangChain's key leaves out: fields of models that it cannot write, and the account."""
    seen: dict[str, Any] = {}
    if not model.is_lc_serializable():
        seen["fields"] = {
            name: getattr(model, name)
            for name in type(model).model_fields
            if name not in NEUTRAL and isinstance(getattr(model, name, None), str | int | float | bool)
        }
    if tenant is None:
        seen["account"] = [
            hashlib.sha256(value.get_secret_value().encode()).hexdigest()
            for name in sorted(type(model).model_fields)
            if isinstance(value := getattr(model, name, None), SecretStr)
        ]
    return seen
