"""Shorten an agent's tool results as they arrive, and clear old ones in batches where that pays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from tokenomics_core.compression._prefix_money import EditDecision, EditPlan, PrefixPrices, plan_edits
from tokenomics_core.compression._tool_output import compress_tool_output
from tokenomics_core.compression._turns import Message, check_messages, role_of
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.tokens import count_tokens

__all__ = ["HistoryEditor"]

_MILLION = Decimal(1_000_000)


class HistoryEditor:
    """Rewrites the messages of one growing conversation so that it never costs more than left alone.

    A tool's result is shortened when it is first seen and sent in that form ever after, so the provider's
    cached prefix stays whole. Old results are cleared only all at once from some place on, when that pays
    over the calls that are expected, and only as far as the next call gets no dearer than what was saved so
    far: under the assumption that the provider caches every prefix, no call series ends above its cost
    without the editor.

    One editor serves one conversation, in order, and remembers what it sent; it is not safe for threads.

    Args:
        prices: Of the model's input.
        shorten: Rewrites a result as it arrives; by default without loss (`compress_tool_output`).
        clear: Whether old results may be cleared.
        keep_results: How many of the last results are never cleared.
        placeholder: What a cleared result says.
        expected_calls: How many calls are still to come; by default as many as there have been.
        model: Whose tokens to count.
        count: Counts the tokens of messages in another way; what it says decides what pays.
    """

    def __init__(
        self,
        *,
        prices: PrefixPrices,
        shorten: Callable[[str], str] | None = None,
        clear: bool = True,
        keep_results: int = 3,
        placeholder: str = "[this result was cleared to save space; call the tool again if you need it]",
        expected_calls: float | None = None,
        model: str | None = None,
        count: Callable[[Sequence[Message]], int] | None = None,
    ) -> None:
        if isinstance(keep_results, bool) or not isinstance(keep_results, int) or keep_results < 0:
            raise ConfigurationError(f"keep_results must be 0 or more, not {keep_results!r}")
        if expected_calls is not None and not expected_calls >= 1:
            raise ConfigurationError(f"expected_calls must be 1 or more, or None, not {expected_calls!r}")
        self._prices, self._clear, self._keep = prices, clear, keep_results
        self._placeholder, self._expected = placeholder, expected_calls
        self._count = count or (lambda messages: int(count_tokens(messages, model)))
        self._frame = self._count([])
        self._shorten = shorten or (lambda text: compress_tool_output(text, lossless=True, model=model).text)
        self._given: list[Message] = []
        self._given_tokens: list[int] = []
        self._sent: list[Message] = []
        self._sent_tokens: list[int] = []
        self._cleared = set[int]()
        self._cached = 0
        self._calls = 0
        self.saved_usd = Decimal(0)
        self.last_decision: EditDecision | None = None

    def edit(self, messages: Iterable[Message]) -> list[Message]:
        """Return what to send for the next call; the messages given are not changed.

        Messages that differ from those of the last call start the cached prefix anew from there on.

        Raises:
            ConfigurationError: Something in the list is no message; nothing was edited.
        """
        found = check_messages(messages)
        same = _common(found, self._given)
        given_cached = same
        self._forget_from(same)
        for message in found[same:]:
            self._add(message)
        plan = self._plan() if self._clear else EditPlan((), self.last_decision or _NOTHING)
        first = min(plan.places, default=len(found))
        for place in plan.places:
            self._sent[place] = self._as_cleared(self._sent[place])
            self._sent_tokens[place] = self._size(self._sent[place])
            self._cleared.add(place)
        self.last_decision = plan.decision if plan.places else None
        self.saved_usd += self._cost(self._given_tokens, given_cached)
        self.saved_usd -= self._cost(self._sent_tokens, min(self._cached, first))
        self._cached = len(found)
        self._calls += 1
        return list(self._sent)

    def _forget_from(self, place: int) -> None:
        for held in (self._given, self._given_tokens, self._sent, self._sent_tokens):
            del held[place:]
        self._cleared = {cleared for cleared in self._cleared if cleared < place}
        self._cached = min(self._cached, place)

    def _add(self, message: Message) -> None:
        content = message.get("content")
        sent, tokens = message, self._size(message)
        sent_tokens = tokens
        if role_of(message) == "tool" and isinstance(content, str):
            short = {**message, "content": self._shorten(content)}
            if (short_tokens := self._size(short)) < tokens:
                sent, sent_tokens = short, short_tokens
        self._given.append(message)
        self._given_tokens.append(tokens)
        self._sent.append(sent)
        self._sent_tokens.append(sent_tokens)

    def _size(self, message: Message) -> int:
        return self._count([message]) - self._frame

    def _as_cleared(self, message: Message) -> Message:
        return {**message, "content": self._placeholder}

    def _plan(self) -> EditPlan:
        results = [
            place
            for place, message in enumerate(self._sent)
            if role_of(message) == "tool" and isinstance(message.get("content"), str)
        ]
        old = results[: len(results) - self._keep] if self._keep else results
        smaller = {
            place: size
            for place in old
            if place not in self._cleared
            and (size := self._size(self._as_cleared(self._sent[place]))) < self._sent_tokens[place]
        }
        return plan_edits(
            self._sent_tokens,
            smaller,
            prices=self._prices,
            expected_calls=self._expected or max(self._calls, 1),
            cached_messages=self._cached,
            spare_usd=self._spare(),
        )

    def _spare(self) -> Decimal:
        """Return what the next call may cost more than it would unedited, with what it saves by itself."""
        return max(self.saved_usd + self._saved_next(), Decimal(0))

    def _saved_next(self) -> Decimal:
        """Compare the next call's cost without the editor with that of sending as it stands."""
        return self._cost(self._given_tokens, self._cached) - self._cost(self._sent_tokens, self._cached)

    def _cost(self, tokens: Sequence[int], cached: int) -> Decimal:
        read, written = sum(tokens[:cached]), sum(tokens[cached:])
        return (read * self._prices.read_usd_per_mtok + written * self._prices.write_usd_per_mtok) / _MILLION


_NOTHING = EditDecision(pays=False, net_usd=Decimal(0), first_call_usd=Decimal(0), break_even_calls=None)


def _common(messages: Sequence[Message], known: Sequence[Message]) -> int:
    same = 0
    for new, old in zip(messages, known, strict=False):
        if new is not old and dict(new) != dict(old):
            break
        same += 1
    return same
