"""See where a prompt's tokens and dollars go, what of them is waste, and what each remedy saves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from typing import Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook, default_price_book
from tokenomics_core.prompts._parts import PromptPart, split_prompt
from tokenomics_core.prompts._wastes import Waste, find_wastes
from tokenomics_core.rendering import (
    Cell,
    Column,
    Figure,
    Group,
    Notice,
    Row,
    Table,
    to_html,
    to_text,
)
from tokenomics_core.tokens import count_tokens

__all__ = ["PromptReport", "PromptShare", "Suggestion", "analyze_prompt"]

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptShare:
    """What the parts of one role and source cost.

    Attributes:
        role: Who says it; `tools` for schemas.
        source: What kind of text it is.
        tokens: How many tokens.
        usd: What they cost in one call, uncached; None where no price is known.
    """

    role: str
    source: str
    tokens: int
    usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What to change.

    Attributes:
        waste: What was found.
        tokens_saved: By it, in every call; for an unstable prefix the tokens that could be read from a cache.
        usd_per_call: What that saves in one call; None where no price is known.
        usd_per_month: The same at the given volume; None where no volume was given.
    """

    waste: Waste
    tokens_saved: int
    usd_per_call: Decimal | None
    usd_per_month: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptReport:
    """Where a prompt's tokens go.

    Attributes:
        model: Whose tokens and prices.
        tokens: Of the whole prompt, framing included.
        usd: What it costs as uncached input; None where no price is known.
        shares: By role and source, the largest first.
        suggestions: What to change, by what it saves.
        estimated: Whether the tokens are an estimate.
    """

    model: str
    tokens: int
    usd: Decimal | None
    shares: tuple[PromptShare, ...]
    suggestions: tuple[Suggestion, ...]
    estimated: bool

    def table(self) -> Table:
        """Draw the report."""
        total = max(1, sum(share.tokens for share in self.shares))
        shares = tuple(
            Row(
                (
                    Cell(f"{share.role}: {share.source}"),
                    Cell(share.tokens),
                    Cell(share.tokens / total),
                    Cell(share.usd),
                )
            )
            for share in self.shares
        )
        advice = tuple(
            Row(
                (
                    Cell(_advice(each)),
                    Cell(each.tokens_saved),
                    Cell(each.tokens_saved / total),
                    Cell(each.usd_per_call),
                )
            )
            for each in self.suggestions
        )
        notices = [] if not self.estimated else [Notice("tokens are estimated")]
        if self.usd is None:
            notices.append(Notice(f"no price is known for {self.model}", level="warning"))
        per_month = [each.usd_per_month for each in self.suggestions if each.usd_per_month is not None]
        figures = [Figure("tokens", Cell(self.tokens), "count"), Figure("per call", Cell(self.usd), "money")]
        if per_month:
            figures.append(Figure("could be saved a month, up to", Cell(sum(per_month, Decimal(0))), "money"))
        return Table(
            title=f"Prompt for {self.model}",
            columns=(
                Column(title=""),
                Column(title="tokens", kind="count"),
                Column(title="share", kind="percent"),
                Column(title="per call", kind="money"),
            ),
            groups=(Group("Where they go", shares), *((Group("What to change", advice),) if advice else ())),
            figures=tuple(figures),
            notices=tuple(notices),
        )

    def __str__(self) -> str:
        return to_text(self.table())

    def _repr_html_(self) -> str:
        return to_html(self.table())


def analyze_prompt(
    messages: Any,
    model: str,
    *,
    tools: Iterable[Any] = (),
    provider: str | None = None,
    calls_per_month: int | None = None,
    prices: PriceBook | None = None,
) -> PromptReport:
    """Say where the tokens of a prompt go and what of them could be spared.

    Args:
        messages: A string, mappings, (role, text) pairs, or LangChain's or LlamaIndex's messages.
        model: Who will be asked.
        tools: Tool schemas as mappings.
        provider: Who serves the model.
        calls_per_month: How often this prompt is sent, for savings a month.
        prices: Where prices come from; by default the shared price book.

    Raises:
        ConfigurationError: Something is no message, or the volume is below 0; nothing was analysed.
    """
    if calls_per_month is not None and (isinstance(calls_per_month, bool) or calls_per_month < 0):
        raise ConfigurationError(f"calls_per_month must be 0 or more, or None, not {calls_per_month!r}")
    schemas = list(tools)
    parts = split_prompt(messages, schemas)
    total = count_tokens(messages, model, provider=provider, tools=schemas or None)

    @cache
    def count(text: str) -> int:
        """Count a text once, however many checks ask for it."""
        return int(count_tokens(text, model, provider=provider))

    price = (prices or default_price_book()).price(model, provider)
    rate = price.usd_per_mtok("input", input_tokens=int(total)) if price else None
    read = price.usd_per_mtok("cache_read", input_tokens=int(total)) if price else None
    suggestions = [_suggest(waste, rate, read, calls_per_month) for waste in find_wastes(parts, count)]
    return PromptReport(
        model=model,
        tokens=int(total),
        usd=_usd(int(total), rate),
        shares=tuple(_shares(parts, count, rate)),
        suggestions=tuple(sorted(suggestions, key=_value, reverse=True)),
        estimated=total.estimated,
    )


def _shares(parts: list[PromptPart], count: Any, rate: Decimal | None) -> list[PromptShare]:
    found: dict[tuple[str, str], PromptShare] = {}
    for part in parts:
        key = part.role, part.source
        before = found.get(key, PromptShare(role=part.role, source=part.source, tokens=0, usd=None))
        found[key] = replace(before, tokens=before.tokens + count(part.text))
    priced = [replace(share, usd=_usd(share.tokens, rate)) for share in found.values()]
    return sorted(priced, key=lambda share: -share.tokens)


def _suggest(waste: Waste, rate: Decimal | None, read: Decimal | None, calls: int | None) -> Suggestion:
    # Moving what changes saves no tokens: what stands behind it is read from the cache instead of paid for.
    spared = rate if waste.kind != "unstable_prefix" else rate - (read or rate) if rate is not None else None
    usd = _usd(waste.tokens, spared)
    return Suggestion(
        waste=waste,
        tokens_saved=waste.tokens,
        usd_per_call=usd,
        usd_per_month=usd * calls if usd is not None and calls is not None else None,
    )


def _value(suggestion: Suggestion) -> tuple[Decimal, int]:
    return suggestion.usd_per_call or Decimal(0), suggestion.tokens_saved


def _advice(suggestion: Suggestion) -> str:
    waste = suggestion.waste
    return f"{waste.kind} in {waste.place}: {waste.detail}; {waste.fix}"


def _usd(tokens: int, rate: Decimal | None) -> Decimal | None:
    return None if rate is None else rate * tokens / _MILLION
