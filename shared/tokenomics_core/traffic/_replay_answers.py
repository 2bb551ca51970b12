"""What a log knows of answers: the one to each request, from each model that was asked it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b

from tokenomics_core.cache import KeyRule
from tokenomics_core.pricing import PriceBook
from tokenomics_core.traffic._record import TrafficRecord
from tokenomics_core.traffic._replay_messages import Asked, Said, asked_of, said_of
from tokenomics_core.types import Usage

__all__ = ["LoggedAnswers", "ModelNames"]

_LEAST_LATENCIES = 5


class ModelNames:
    """Tells whether two names mean one model."""

    def __init__(self, prices: PriceBook) -> None:
        self._prices = prices
        self._known: dict[tuple[str, str | None], str] = {}

    def of(self, model: str, provider: str | None) -> str:
        """Return the name that the price data has for a model; its own where it has none."""
        name = self._known.get((model, provider))
        if name is None:
            cost = self._prices.cost(Usage(input_tokens=1, output_tokens=1), model, provider)
            name = self._known[model, provider] = cost.model or model
        return name


class LoggedAnswers:
    """Answers by request and model, so that a request which goes elsewhere finds what was said there.

    Args:
        names: Tells models apart.
    """

    def __init__(self, names: ModelNames) -> None:
        self._names = names
        self._neutral = KeyRule().neutral_settings
        self._answers: dict[tuple[bytes, str], TrafficRecord] = {}
        self._latencies_s: dict[str, list[float]] = {}
        self._usual_s: dict[str, tuple[int, float]] = {}

    def add(self, records: Iterable[TrafficRecord]) -> None:
        """Take in what records tell; of several answers to one request the first counts."""
        for record in records:
            if record.source == "cache" or record.outcome != "ok":
                continue
            model = self._names.of(record.model, record.provider)
            if record.latency_s is not None:
                self._latencies_s.setdefault(model, []).append(record.latency_s)
            if record.messages and said_of(record).text is not None:
                self._answers.setdefault((self._digest(asked_of(record)), model), record)

    def find(self, asked: Asked) -> Said | None:
        """Return what a model said to a request; None where the log does not hold it."""
        found = self._answers.get((self._digest(asked), self._names.of(asked.model, asked.provider)))
        return None if found is None else said_of(found)

    def usual_latency_s(self, asked: Asked) -> float | None:
        """Return how long a model usually takes in this log; None where too few calls tell."""
        model = self._names.of(asked.model, asked.provider)
        known = self._latencies_s.get(model, ())
        if len(known) < _LEAST_LATENCIES:
            return None
        count, usual_s = self._usual_s.get(model, (0, 0.0))
        if count != len(known):
            usual_s = statistics.median(known)
            self._usual_s[model] = len(known), usual_s
        return usual_s

    def estimate(self, was: Asked, said: Said, asked: Asked) -> Said:
        """Guess what an answer would have taken that the log does not hold.

        The input is what the log counted, plus or minus what counts otherwise; the answer is taken to be as
        long as the logged one.
        """
        usage = said.usage
        if usage.input_tokens is None:
            return replace(said, latency_s=self.usual_latency_s(asked))
        is_elsewhere = self._names.of(was.model, was.provider) != self._names.of(asked.model, asked.provider)
        before, after = was.input_tokens(), asked.input_tokens()
        tokens = max(usage.input_tokens - before + after, 1)
        reads = None if usage.cache_read_tokens is None else min(usage.cache_read_tokens, tokens)
        latency_s = self.usual_latency_s(asked) if is_elsewhere else said.latency_s
        return replace(
            said,
            usage=replace(usage, input_tokens=tokens, cache_read_tokens=reads, estimated=True),
            latency_s=said.latency_s if latency_s is None else latency_s,
            score=None,
        )

    def _digest(self, asked: Asked) -> bytes:
        """Name a request, whichever model it goes to."""
        told = asked.for_cache(model=None)
        settings = {
            name: value
            for name, value in (told.settings or {}).items()
            if name not in self._neutral and value is not None
        }
        parts = [told.messages, told.tools, settings, told.response_schema, told.tenant]
        text = json.dumps(parts, sort_keys=True, default=str, ensure_ascii=False)
        return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
