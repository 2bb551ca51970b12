"""How the bill knows that a call was sent less context than it would have been."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from llama_index.core.base.llms.types import ChatMessage

from tokenomics_core.observability import CutTexts, repriced_difference, with_more_input
from tokenomics_core.observability.savings import CombinedSaving
from tokenomics_core.protocols import Pricer
from tokenomics_core.types import Outcome, Usage

__all__ = ["AVOIDED_TAG", "Saving", "cut_texts", "saved_by"]

AVOIDED_TAG: Final = "compress_tokens_avoided"
"""The tag of a record that says how many tokens compression took out of its prompt."""

Saving = Callable[[str, Usage, Decimal | None, Outcome], Decimal | None]


cut_texts = CutTexts(most=1_024)


def saved_by(
    routed: Saving | None, prompt: Any, prices: Pricer | None, model: str | None, provider: str | None
) -> tuple[Saving | None, str, int]:
    """Return what tells the saving of a call, what saved, and the tokens that compression took out of it."""
    fresh, old = cut_texts.new_and_old_in(_words_of(prompt)) if cut_texts else (0, 0)
    if not fresh + old or prices is None or model is None:
        return routed, "route", fresh + old
    bill = _Bill(prices, model, provider, fresh, old)
    if routed is None:
        return bill.more, "compress", fresh + old
    combined = CombinedSaving([("route", routed), ("compress", bill.more)])
    return combined, combined.name, fresh + old


@dataclass(frozen=True, slots=True)
class _Bill:
    prices: Pricer
    model: str
    provider: str | None
    fresh: int
    old: int

    def more(self, _: str, usage: Usage, usd: Decimal | None, __: Outcome) -> Decimal | None:
        """Return what the call would have cost more with the tokens that were taken out."""
        other = with_more_input(usage, self.fresh, self.old)
        return repriced_difference(other, usd, self.prices, self.model, self.provider)


def _words_of(prompt: Any) -> str:
    if isinstance(prompt, str):
        return prompt
    messages: Sequence[Any] = prompt if isinstance(prompt, Sequence) else ()
    return "\n".join(message.content or "" for message in messages if isinstance(message, ChatMessage))
