"""A share of the traffic that is left alone, so that a saving can be measured and not only computed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.types._attribution import Attribution, current_attribution

__all__ = ["HoldOut"]

_BUCKETS = 1 << 64


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldOut:
    """Decides by a hash which conversations, or users, are left alone; the same ones always and everywhere.

    What takes a `hold_out` asks whether the call at hand is left alone, by the attribution in force, so that
    a cache, a router and a compressor that are given equal hold-outs leave the same ones alone.

    Attributes:
        share: Share that is left alone, in [0, 1].
        salt: Another salt makes another split.
        by: The dimensions or tags of which the first that is known is the key; a call that has none is
            treated, and is no part of the comparison.
    """

    share: float = 0.05
    salt: str = ""
    by: tuple[str, ...] = ("conversation", "user")

    def __post_init__(self) -> None:
        is_number = isinstance(self.share, (int, float)) and not isinstance(self.share, bool)
        if not is_number or not 0 <= self.share <= 1:
            raise ConfigurationError(f"share must be in [0, 1], not {self.share!r}; nothing is held out")
        if not isinstance(self.salt, str):
            raise ConfigurationError(f"salt must be a string, not {self.salt!r}; nothing is held out")
        given: object = self.by
        names = (given,) if isinstance(given, str) else tuple(self.by)
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ConfigurationError(f"by must be names of dimensions, not {self.by!r}; nothing is held out")
        object.__setattr__(self, "by", names)

    def place(self, key: str) -> float:
        """Return where a key lies in [0, 1); keys lie evenly."""
        salted = f"{self.salt}\0{key}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.blake2b(salted, digest_size=8).digest(), "big") / _BUCKETS

    def left_alone(self, key: str) -> bool:
        """Say whether a key is left alone."""
        return self.share >= 1 or self.place(key) < self.share

    def key_of(self, who: Attribution) -> str | None:
        """Return what decides for a call; None where nothing of it is known."""
        return next((value for name in self.by if (value := who.get(name)) is not None), None)

    def leaves_alone(self, who: Attribution | None = None) -> bool:
        """Say whether a call is left alone: one of somebody, or the one at hand."""
        if not self.share:
            return False
        key = self.key_of(current_attribution() if who is None else who)
        return key is not None and self.left_alone(key)
