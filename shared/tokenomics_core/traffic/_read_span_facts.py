"""What any tool tells of a span, before it is known what the span is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tokenomics_core.traffic._read_attributes import at_path, tags_of
from tokenomics_core.traffic._read_values import Row, attribution_of, mapping_of, text_of
from tokenomics_core.types import Attribution

__all__ = ["SpanFacts", "attribution_of_span"]

_USERS = ("user.id", "enduser.id", "langfuse.user.id", "gen_ai.user", "llm.user")
_CONVERSATIONS = (
    "gen_ai.conversation.id",
    "session.id",
    "langfuse.session.id",
    "conversation.id",
    "thread.id",
)
_FEATURES = ("feature", "app.feature", "traceloop.workflow.name", "gen_ai.workflow.name", "gen_ai.agent.name")
_METADATA = ("metadata", "langfuse.trace.metadata", "traceloop.association.properties", "app")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanFacts:
    """A span as it was told, its attributes nested by the dots of their names."""

    trace: str
    id: str
    parent: str | None
    name: str | None
    start: datetime | None
    end: datetime | None
    attributes: Mapping[str, Any]
    events: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    has_failed: bool = False
    message: str | None = None
    project: str | None = None
    where: str = ""

    def get(self, path: str) -> Any:
        """Return an attribute by its dotted name."""
        return at_path(self.attributes, path)

    def first(self, *paths: str) -> Any:
        """Return the first of several attributes that is there."""
        for path in paths:
            value = at_path(self.attributes, path)
            if value is not None and value != "":
                return value
        return None

    @property
    def error(self) -> str | None:
        """What went wrong, where the span failed."""
        if not self.has_failed:
            return None
        thrown = next((values for name, values in self.events if name == "exception"), {})
        told = (
            at_path(thrown, "exception.message") or self.message or self.first("error.message", "error.type")
        )
        return text_of(told) or "error"


def attribution_of_span(facts: SpanFacts) -> Attribution:
    """Tell who a span is for by its own attributes; the spans around it may know more."""
    metadata = [_plain(mapping_of(facts.get(path))) for path in _METADATA]
    labels = facts.first("tag.tags", "langfuse.trace.tags", "tags")
    return attribution_of(
        [*metadata, tags_of(labels)],
        user=text_of(facts.first(*_USERS)),
        feature=text_of(facts.first(*_FEATURES)),
        project=facts.project,
        conversation=text_of(facts.first(*_CONVERSATIONS)),
    )


def _plain(metadata: Row) -> Row:
    """Take the quotes off values that a library wrote as JSON."""
    return {
        name: value[1:-1]
        if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"'
        else value
        for name, value in metadata.items()
    }
