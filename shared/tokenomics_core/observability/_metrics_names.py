"""The names under which calls are metered: those of OpenTelemetry where it has one, else our own."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from tokenomics_core.types import SpendRecord

__all__ = [
    "DURATION_BUCKETS_S",
    "OTHER",
    "TOKEN_BUCKETS",
    "Vocabulary",
    "error_type_of",
    "operation_of",
    "provider_of",
]

OTHER = "other"
"""Stands for every value beyond those that have a series of their own."""

_UNKNOWN = "unknown"

# https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics, read on 2026-11-21.
TOKEN_BUCKETS = tuple(4**power for power in range(14))
DURATION_BUCKETS_S = tuple(0.01 * 2**power for power in range(14))

# The well-known values there, by the names that the frameworks and the price data use.
_PROVIDERS: Mapping[str, str] = {
    "amazon_bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "x-ai": "x_ai",
    "xai": "x_ai",
}
_OPERATIONS: Mapping[str, str] = {"completion": "text_completion", "embedding": "embeddings"}


def provider_of(record: SpendRecord) -> str:
    """Return `gen_ai.provider.name`: a well-known value where one applies, else the name as it is."""
    name = record.provider or _UNKNOWN
    return _PROVIDERS.get(name.lower(), name)


def operation_of(record: SpendRecord) -> str:
    """Return `gen_ai.operation.name`."""
    return _OPERATIONS.get(record.operation, record.operation)


def error_type_of(record: SpendRecord) -> str | None:
    """Return `error.type`: how a call ended that did not end well, as far as its record tells."""
    if record.outcome == "ok":
        return None
    return "_OTHER" if record.outcome == "error" else record.outcome


class Vocabulary:
    """The values of an attribute that have a series of their own: the first ones seen, then `other`.

    Args:
        most: How many they are at most.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, str] = {}
        self._lock = threading.Lock()

    def admit(self, value: str) -> str:
        """Return a value as it is metered."""
        found = self._known.get(value)
        if found is not None:
            return found
        with self._lock:
            if value not in self._known and len(self._known) >= self._most:
                return OTHER
            return self._known.setdefault(value, value)

    @property
    def values(self) -> tuple[str, ...]:
        """What has a series of its own."""
        with self._lock:
            return tuple(self._known)
