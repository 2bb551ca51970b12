"""Which requests are served by meaning, which only word for word, and which not at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tokenomics_core.cache._hit import How
from tokenomics_core.cache._partition import partition_of
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.message_content import only_text

__all__ = ["ChatRequest", "KeyRule", "RequestKey", "ServingRule"]

_HOWS = ("semantic", "exact", "never")

# What changes how a request is sent and not what is answered.
_NEUTRAL_SETTINGS = frozenset(
    {"stream", "stream_options", "timeout", "max_retries", "metadata", "user", "store", "service_tier"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingRule:
    """How far a request may be served from a cache; every case can be set and is told with its reason.

    Attributes:
        max_temperature: Above it a caller asks for variety, not for the same answer again. 1.0 is the default
            of providers' own interfaces.
        hot: Requests above it.
        media: Requests with images, sound or files, which no text embedding sees.
        unreadable: Requests with parameters whose content cannot be read, so that equal ones cannot be told.
        tool_result: Requests whose last message is a tool's result.
        several: Requests for more than one answer.
        no_question: Requests whose last message is no text of the user's.
    """

    max_temperature: float = 1.0
    hot: How = "exact"
    media: How = "exact"
    unreadable: How = "never"
    tool_result: How = "exact"
    several: How = "exact"
    no_question: How = "exact"

    def __post_init__(self) -> None:
        for name in ("hot", "media", "unreadable", "tool_result", "several", "no_question"):
            if getattr(self, name) not in _HOWS:
                raise ConfigurationError(f"{name} must be one of {_HOWS}, not {getattr(self, name)!r}")
        if self.unreadable != "never":
            raise ConfigurationError(
                f"unreadable must be 'never', not {self.unreadable!r}: requests could not be told apart"
            )
        if not math.isfinite(self.max_temperature) or self.max_temperature < 0:
            raise ConfigurationError(f"max_temperature must be 0 or more, not {self.max_temperature!r}")

    def judge(
        self,
        *,
        temperature: float | None = None,
        has_media: bool = False,
        is_readable: bool = True,
        ends_in_tool_result: bool = False,
        n_answers: int = 1,
        has_question: bool = True,
    ) -> tuple[How, str]:
        """Return how the request may be served at most, and the reason; the strictest case counts."""
        cases: list[tuple[bool, How, str]] = [
            (not is_readable, self.unreadable, "a parameter cannot be read"),
            (has_media, self.media, "it holds more than text"),
            (ends_in_tool_result, self.tool_result, "the last message is a tool's result"),
            (not has_question, self.no_question, "the last message is no question in words"),
            (n_answers > 1, self.several, f"{n_answers} answers are asked for"),
            (
                temperature is not None and temperature > self.max_temperature,
                self.hot,
                f"temperature {temperature} is above {self.max_temperature}",
            ),
        ]
        strictest: tuple[How, str] = ("semantic", "")
        for applies, how, why in cases:
            if applies and _HOWS.index(how) > _HOWS.index(strictest[0]):
                strictest = (how, why)
        return strictest


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A chat request as plain data, whatever framework it comes from.

    Attributes:
        messages: Mappings with `role` and `content`; content is text or a list of typed parts.
        model: Which model is asked.
        settings: What it is asked with; None where it could not be read.
        tools: As the model is told of them.
        response_schema: What the answer must look like.
        tenant: Who asks.
        source_versions: Version by id of the documents that stand in the request.
        extra: Whatever else must be equal.
    """

    messages: Sequence[Mapping[str, Any]]
    model: str | None = None
    settings: Mapping[str, Any] | None = field(default_factory=dict)
    tools: Sequence[Any] | None = None
    response_schema: Any = None
    tenant: str | None = None
    source_versions: Mapping[str, Any] | None = None
    extra: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """Where a request's answer is looked for.

    Attributes:
        partition: What must be equal; empty where the request is never served.
        question: What is compared.
        how: How it may be served at most.
        why: Why not by meaning; empty where it may be.
    """

    partition: str
    question: str
    how: How
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRule:
    """Splits a chat request into what must be equal and what may be said in other words.

    The last turn of the user is the question. All else must be equal: system prompt, tools, settings, model.

    Attributes:
        history: Which earlier turns must be equal too: `exact` all of them, a number that many of the last
            messages, `none` no turn (an answer then crosses conversations, and "and in euros?" with it).
        model_classes: Class by model, for models that may answer for one another.
        neutral_settings: Settings that do not change what is answered.
        rule: Which requests are served how.
        epoch: Changed by whoever wants to begin anew.
        secret: Key for the tenant's digest.
    """

    history: Literal["exact", "none"] | int = "exact"
    model_classes: Mapping[str, str] = field(default_factory=dict)
    neutral_settings: frozenset[str] = _NEUTRAL_SETTINGS
    rule: ServingRule = field(default_factory=ServingRule)
    epoch: str | int = 0
    secret: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        by_count = isinstance(self.history, int) and not isinstance(self.history, bool) and self.history >= 0
        if not by_count and self.history not in {"exact", "none"}:
            raise ConfigurationError(
                f"history must be 'exact', 'none' or a number of messages, not {self.history!r}"
            )

    def key_of(self, request: ChatRequest) -> RequestKey:
        """Say where the answer to a request is looked for."""
        system, turns = _split(request.messages)
        last = turns[-1] if turns else {}
        question = only_text(last.get("content")) if last.get("role") in {"user", "human"} else None
        settings = _telling(request.settings, self.neutral_settings)
        how, why = self.rule.judge(
            temperature=_number(settings, "temperature"),
            has_media=any(_has_media(turn.get("content")) for turn in [*system, *self._kept(turns), last]),
            is_readable=request.settings is not None,
            ends_in_tool_result=last.get("role") in {"tool", "function"},
            n_answers=int(_number(settings, "n") or 1),
            has_question=question is not None and bool(question.strip()),
        )
        if how == "never":
            return RequestKey(partition="", question=question or "", how=how, why=why)
        kept = [*self._kept(turns), _without_question(last, question)]
        try:
            partition = partition_of(
                tenant=request.tenant,
                model=self._class_of(request.model),
                settings=settings,
                tools=request.tools,
                response_schema=request.response_schema,
                system=system,
                history=kept,
                source_versions=request.source_versions,
                epoch=self.epoch,
                extra=request.extra,
                secret=self.secret,
            )
        except ConfigurationError as error:
            return RequestKey(partition="", question=question or "", how=self.rule.unreadable, why=str(error))
        return RequestKey(partition=partition, question=question or "", how=how, why=why)

    def _class_of(self, model: str | None) -> Any:
        """Name a model, or its class; a class is never taken for a model of the same name."""
        if model is not None and model in self.model_classes:
            return f"class:{self.model_classes[model]}"
        return None if model is None else f"model:{model}"

    def _kept(self, turns: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return what must be equal of the earlier turns; instructions among them always are."""
        earlier = list(turns[:-1])
        if self.history == "exact":
            return earlier
        first = len(earlier) - (0 if self.history == "none" else int(self.history))
        return [turn for place, turn in enumerate(earlier) if place >= first or _instructs(turn)]


def _split(messages: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Split the leading instructions from the turns."""
    first = 0
    while first < len(messages) and _instructs(messages[first]):
        first += 1
    return list(messages[:first]), list(messages[first:])


def _instructs(message: Mapping[str, Any]) -> bool:
    return message.get("role") in {"system", "developer"}


def _has_media(content: Any) -> bool:
    return content is not None and content != [] and only_text(content) is None


def _without_question(turn: Mapping[str, Any], question: str | None) -> Mapping[str, Any]:
    """Return what of the last turn must be equal: everything where there is no question in words."""
    if question is None:
        return turn
    return {key: value for key, value in turn.items() if key != "content"}


def _telling(settings: Mapping[str, Any] | None, neutral: frozenset[str]) -> dict[str, Any]:
    """Return the settings that change an answer; one that is None was not set."""
    known = {} if settings is None else settings
    return {key: value for key, value in known.items() if key not in neutral and value is not None}


def _number(settings: Mapping[str, Any], name: str) -> float | None:
    value = settings.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
