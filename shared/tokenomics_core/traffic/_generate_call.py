"""Parts of an application that calls models, and calls before they are sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tokenomics_core.tokens import count_tokens
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Attribution

__all__ = ["Call", "Feature", "Mark", "Talk", "text_tokens"]

# What count_tokens adds around a message and before the answer; see its source.
_PER_MESSAGE, _PRIMING = 3, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One part of an application.

    Attributes:
        name: What its calls are attributed to.
        project: The application that it belongs to.
        model: Whom it asks.
        provider: Who serves that model.
        system: Its instructions.
        settings: Its request parameters.
        tools: The tools it offers.
        cached: Whether its instructions come first and unchanged, so that the provider caches them.
    """

    name: str
    project: str
    model: str
    provider: str
    system: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[Mapping[str, Any], ...] = ()
    cached: bool = False

    @property
    def prefix_tokens(self) -> int:
        """Tokens of instructions and tools together."""
        return text_tokens(self.system, self.model) + _PER_MESSAGE + self.tool_tokens

    @property
    def tool_tokens(self) -> int:
        """Tokens of the tools."""
        return _tool_tokens(json.dumps(self.tools), self.model) if self.tools else 0


@dataclass(frozen=True, slots=True)
class Mark:
    """A waste that a call was made to be.

    Attributes:
        kind: Its name in `WastePlan`.
        tokens: The tokens that are wasted, where not the whole call is.
        earlier: The call whose money was wasted, where it is not this one.
        is_doubted: Whether a response cache would not see that the question is the same.
    """

    kind: str
    tokens: int = 0
    earlier: Call | None = None
    is_doubted: bool = False


@dataclass(slots=True, kw_only=True)
class Call:
    """A call that will be sent.

    Attributes:
        feature: The part of the application that sends it.
        who: Whom it is for.
        messages: The request.
        input_tokens: Its tokens.
        answer: What will come back.
        output_tokens: The tokens of that.
        settings: Other request parameters than those of the feature.
        known_tokens: Tokens at its beginning that the provider has seen in the same talk just before.
        fails: Whether it may fail without harm to what was planned.
        record: Itself in the log, once it was sent.
    """

    feature: Feature
    who: Attribution
    messages: Sequence[Mapping[str, Any]]
    input_tokens: int
    answer: str | None
    output_tokens: int
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    settings: Mapping[str, Any] | None = None
    outcome: str = "ok"
    finish: str | None = "stop"
    error: str | None = None
    known_tokens: int = 0
    fails: bool = False
    batch: bool = False
    marks: tuple[Mark, ...] = ()
    record: TrafficRecord | None = None


class Talk:
    """Messages that grow, with their tokens."""

    def __init__(self, feature: Feature, who: Attribution, *, system: str | None = None) -> None:
        self.feature, self.who = feature, who
        self.messages: list[Mapping[str, Any]] = []
        self.tokens = _PRIMING + feature.tool_tokens
        self._sent = 0
        self.say("system", feature.system if system is None else system)

    def say(self, role: str, content: str, *parts: str) -> None:
        """Add a message; where parts are given, they follow the content and are counted one by one."""
        self.tokens += _PER_MESSAGE + sum(text_tokens(part, self.feature.model) for part in (content, *parts))
        self.messages.append({"role": role, "content": content + "".join(parts)})

    def add(self, message: Mapping[str, Any]) -> None:
        """Add a message of another shape."""
        self.tokens += count_tokens([message], self.feature.model, download="never") - _PRIMING
        self.messages.append(message)

    def call(self, answer: str | None, **more: Any) -> Call:
        """Send what was said so far."""
        output = 0 if answer is None else text_tokens(answer, self.feature.model)
        known, self._sent = self._sent, self.tokens
        values: dict[str, Any] = {
            "feature": self.feature,
            "who": self.who,
            "messages": tuple(self.messages),
            "input_tokens": self.tokens,
            "answer": answer,
            "output_tokens": output,
            "known_tokens": known,
        }
        return Call(**values | more)


@lru_cache(maxsize=16_384)
def text_tokens(text: str, model: str) -> int:
    """Count the tokens of a text, the same on every machine that has the vocabulary."""
    return int(count_tokens(text, model, download="never"))


@lru_cache(maxsize=64)
def _tool_tokens(tools: str, model: str) -> int:
    return int(count_tokens("", model, tools=json.loads(tools), download="never"))
