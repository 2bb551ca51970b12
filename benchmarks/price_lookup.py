"""How long it takes to price one call, beside genai-prices in the same run.

    python benchmarks/price_lookup.py

Method: 20 models of ten providers, by the names that applications use, in random order with random usages
(plain, cached, written, long inputs, batches), the same for both. First both sides price everything once, so
that nothing is compiled or cached in the measured part, and the results are compared: every cost must be
equal as a Decimal. Then each side prices the whole list several times, in turns; the best pass of each
counts. Ours includes finding the model by name and making the `Cost`; theirs is `calc_price` on a usage made
beforehand. Figures are for the machine at hand; the ratio is the claim.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from random import Random

from genai_prices import Usage as GenaiUsage
from genai_prices import calc_price

from tokenomics_core import Usage
from tokenomics_core.pricing import PriceBook

SEED = 20_261_121
CALLS, PASSES = 2_000, 5
AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
MODELS = (
    ("gpt-4o", "openai"),
    ("gpt-4o-mini-2024-07-18", "openai"),
    ("gpt-4.1", "openai"),
    ("gpt-5", "openai"),
    ("gpt-5.4", "openai"),
    ("o4-mini", "openai"),
    ("gpt-6-sol", "openai"),
    ("claude-sonnet-4-5-20250929", "anthropic"),
    ("claude-opus-5-5", "anthropic"),
    ("claude-haiku-4-5", "anthropic"),
    ("gemini-2.5-pro", "google"),
    ("gemini-3.8-flash", "google"),
    ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws"),
    ("amazon.nova-pro-v1:0", "aws"),
    ("mistral-large-latest", "mistral"),
    ("deepseek-v4-pro", "deepseek"),
    ("llama-3.3-70b-versatile", "groq"),
    ("grok-4", "x-ai"),
    ("command-a-03-2025", "cohere"),
    ("anthropic/claude-sonnet-4.5", "openrouter"),
)


def main() -> None:
    rng = Random(SEED)
    calls = [(rng.choice(MODELS), random_counts(rng), rng.random() < 0.1) for _ in range(CALLS)]
    book = PriceBook(overlay=False)
    ours = [(name, provider, Usage(**counts, batch=batch)) for (name, provider), counts, batch in calls]
    theirs = [
        (name, provider, GenaiUsage(**counts), {"processing": "batch"} if batch else None)
        for (name, provider), counts, batch in calls
    ]

    def run_ours() -> list[Decimal | None]:
        return [book.cost(usage, name, provider, AT).total_usd for name, provider, usage in ours]

    def run_theirs() -> list[Decimal]:
        return [
            calc_price(
                usage, name, provider_id=provider, genai_request_timestamp=AT, price_context=context
            ).total_price
            for name, provider, usage, context in theirs
        ]

    if run_ours() != run_theirs():
        raise SystemExit("the two disagree on a cost; a speed would mean nothing")
    ours_us, theirs_us = best_of(run_ours, run_theirs)
    print(__doc__)
    print(f"seed {SEED}; {CALLS} calls over {len(MODELS)} models, best of {PASSES} passes each")
    print(
        f"Python {platform.python_version()}, genai-prices {version('genai-prices')}; all {CALLS} costs equal"
    )
    print(f"genai-prices calc_price   {theirs_us:8.2f} us per call")
    print(f"PriceBook.cost            {ours_us:8.2f} us per call")
    print(f"ratio                     {theirs_us / ours_us:8.1f}x")


def random_counts(rng: Random) -> dict[str, int]:
    total = rng.choice((rng.randrange(1, 4_000), rng.randrange(1, 60_000), rng.randrange(1, 400_000)))
    counts = {"input_tokens": total, "output_tokens": rng.randrange(1, 4_000)}
    if rng.random() < 0.5:
        counts["cache_read_tokens"] = rng.randint(0, total)
        if rng.random() < 0.5:
            counts["cache_write_tokens"] = rng.randint(0, total - counts["cache_read_tokens"])
            counts["cache_write_1h_tokens"] = rng.randint(0, counts["cache_write_tokens"])
    return counts


def best_of(*sides: Callable[[], Sequence[object]]) -> list[float]:
    """Return the best time of each side, in microseconds per call; sides take turns."""
    best = [float("inf")] * len(sides)
    for _ in range(PASSES):
        for index, side in enumerate(sides):
            start = time.perf_counter()
            side()
            best[index] = min(best[index], (time.perf_counter() - start) / CALLS * 1e6)
    return best


if __name__ == "__main__":
    main()
