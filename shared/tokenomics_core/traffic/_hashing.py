"""Replace what tells a person by keyed digests, on the way in: equal values stay equal, nobody is named."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.types import Attribution

__all__ = ["Hasher"]

_WHO = ("user", "feature", "project", "conversation", "run")
_FIELDS = frozenset({*_WHO, "tags", "id", "parent", "messages"})
_MIN_SECRET_BYTES = 16
_MAX_REMEMBERED = 100_000
_DIGITS = 32
_NAMES_OF_KINDS = frozenset({"role", "type", "tool_call_id", "id", "detail", "format", "media_type", "index"})
_PLAIN_SETTINGS = frozenset(
    {
        "tool_choice",
        "response_format",
        "reasoning_effort",
        "reasoning",
        "service_tier",
        "verbosity",
        "modalities",
    }
)


class Hasher:
    """Hashes chosen fields of records by HMAC-SHA-256 under a secret.

    Args:
        secret: At least 16 bytes, the same for logs whose users are to be compared. Whoever has it can test
            whether a digest is that of a name they guess.
        fields: Of `user`, `feature`, `project`, `conversation`, `run`, `tags` or `tags.NAME`, `id`, `parent`,
            and `messages`, which stands for every text that was asked or answered.

    Raises:
        ConfigurationError: The secret is too short, or a field is not one of these.
    """

    def __init__(self, secret: bytes | str, fields: Collection[str]) -> None:
        key = secret.encode() if isinstance(secret, str) else secret
        if not isinstance(key, bytes) or len(key) < _MIN_SECRET_BYTES:
            raise ConfigurationError(
                f"hash_secret must have at least {_MIN_SECRET_BYTES} bytes; nothing was read"
            )
        if isinstance(fields, str):
            raise ConfigurationError(f"hash_fields must be several names, not {fields!r}; nothing was read")
        for name in fields:
            if name not in _FIELDS and not (isinstance(name, str) and name.startswith("tags.")):
                raise ConfigurationError(
                    f"hash_fields may name {', '.join(sorted(_FIELDS))} or tags.NAME, not {name!r}; "
                    "nothing was read"
                )
        self._key = key
        self._who = tuple(name for name in _WHO if name in fields)
        self._plain = tuple(name for name in ("id", "parent") if name in fields)
        self._every_tag = "tags" in fields
        self._tags = frozenset(name.removeprefix("tags.") for name in fields if name.startswith("tags."))
        self._content = "messages" in fields
        self._known: dict[tuple[str, str], str] = {}

    def apply(self, record: TrafficRecord) -> TrafficRecord:
        """Return the record with digests in the place of what was chosen."""
        changes: dict[str, Any] = {}
        attribution = self._attribution(record.attribution)
        if attribution is not record.attribution:
            changes["attribution"] = attribution
        for name in self._plain:
            if value := getattr(record, name):
                changes[name] = self.digest(name, value)
        if self._content:
            changes |= self._without_content(record)
        return replace(record, **changes) if changes else record

    def digest(self, field: str, value: str) -> str:
        """Return 32 hexadecimal digits that stand for a value of a field."""
        known = self._known.get((field, value))
        if known is None:
            known = self._hex(field, value)[:_DIGITS]
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[field, value] = known
        return known

    def text(self, value: str) -> str:
        """Return digits in the place of a text, as many as the next power of two from 16 on."""
        if not value:
            return value
        length = max(16, 1 << (len(value) - 1).bit_length())
        digits = self._hex("text", value)
        return (digits * (length // len(digits) + 1))[:length]

    def _hex(self, field: str, value: str) -> str:
        message = f"{field}\0{value}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, "sha256").hex()

    def _attribution(self, told: Attribution) -> Attribution:
        values = {name: value for name in _WHO if (value := getattr(told, name)) is not None}
        tags = told.tags
        for name in self._who:
            if name in values:
                values[name] = self.digest(name, values[name])
        if tags and (self._every_tag or not self._tags.isdisjoint(tags)):
            tags = {
                name: self.digest(f"tags.{name}", value) if self._every_tag or name in self._tags else value
                for name, value in tags.items()
            }
        elif not any(name in values for name in self._who):
            return told
        return Attribution(**values, tags=tags)

    def _without_content(self, record: TrafficRecord) -> dict[str, Any]:
        messages = record.messages
        return {
            "messages": None if messages is None else tuple(map(self._message, messages)),
            "answer": None if record.answer is None else self.text(record.answer),
            "tool_calls": tuple(map(self._call, record.tool_calls)),
            "settings": {name: self._setting(name, value) for name, value in record.settings.items()},
            "error": None if record.error is None else self.text(record.error),
        }

    def _message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for name, value in message.items():
            if name == "tool_calls" and isinstance(value, list | tuple):
                out[name] = [
                    self._call(call) if isinstance(call, Mapping) else self._leaves(call) for call in value
                ]
            else:
                out[name] = value if name in _NAMES_OF_KINDS else self._leaves(value)
        return out

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """Keep which tool was called; what with is content."""
        function = call.get("function")
        out = {
            name: value if name in _NAMES_OF_KINDS else self._leaves(value) for name, value in call.items()
        }
        if isinstance(function, Mapping):
            out["function"] = {
                name: value if name == "name" else self._leaves(value) for name, value in function.items()
            }
        return out

    def _setting(self, name: str, value: Any) -> Any:
        return value if name in _PLAIN_SETTINGS else self._leaves(value)

    def _leaves(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                name: inner if name in _NAMES_OF_KINDS else self._leaves(inner)
                for name, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._leaves(inner) for inner in value]
        return value
