"""Choose units under a budget of tokens, with all that each one brings along."""

# ruff: noqa: SIM905 - words and marks of other languages, as text

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokenomics_core.compression._corpus import Corpus
from tokenomics_core.compression._render import rendered
from tokenomics_core.compression._report import Reason

__all__ = ["Choice", "Selection", "choose"]

_FAILURES_IN_A_ROW = 40
_LAST_TRIES = 12
_LEAST_LEFT = 4
_DOUBTFUL, _EXACT_TRIES = 4, 6
_FEWEST_WORDS_COMPARED = 5
_SAME = 0.9
_LONGEST_CHAIN = 2
_DEMONSTRATIVE = re.compile(
    r"[\"'“(]*(?:This|These|That|Those|Such|Dies\w*|Ce(?:s|tte|la)?|Esto|Este|Esta|Questo|Questa|Это|Эт\w+)\b|[这此]"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """How to choose.

    Attributes:
        order: Places of pieces worth sending, best first.
        fits: Tells whether the documents' texts (empty for none) may be sent together.
        budget: The most tokens, to judge by estimate what is worth trying; None where all of `order` goes.
        tokens: Counts the tokens of a text.
        marker: What stands where something is missing.
    """

    order: Sequence[int]
    fits: Callable[[Sequence[str]], bool]
    budget: int | None
    tokens: Callable[[str], int]
    marker: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What was chosen.

    Attributes:
        kept: Places of each document's units to send, heads included, in order.
        texts: What is sent of each document; empty for nothing.
        refused: Why pieces of the order were not taken, by place.
    """

    kept: list[list[int]]
    texts: list[str]
    refused: dict[int, Reason]


def choose(corpus: Corpus, choice: Choice) -> Selection:
    """Take the best units as long as they fit; the result fits exactly, or is empty."""
    chooser = _Chooser(corpus, choice)
    chooser.fill()
    return chooser.settle()


class _Chooser:
    def __init__(self, corpus: Corpus, choice: Choice) -> None:
        self._corpus, self._choice = corpus, choice
        self._kept: list[set[int]] = [set() for _ in corpus.documents]
        self._taken: list[tuple[int, list[int]]] = []
        self._refused: dict[int, Reason] = {}
        self._used = self._exact_tries = 0
        self._costs: dict[tuple[int, int], int] = {}
        self._openings: dict[int, int] = {}
        self._gap = choice.tokens(choice.marker) if choice.marker else 0
        self._said: list[frozenset[str]] = []
        self._place = {(piece.document, piece.unit): at for at, piece in enumerate(corpus.pieces)}
        characters = sum(len(document.text) for document in corpus.documents)
        sample = "".join(piece.text for piece in corpus.pieces[:3])[:2000]
        self._per_character = choice.tokens(sample) / len(sample) if sample and characters else 0.0

    def fill(self) -> None:
        """Take units by estimated cost."""
        budget, failures = self._choice.budget, 0
        for at in self._choice.order:
            if budget is not None and (failures >= _FAILURES_IN_A_ROW or budget - self._used < _LEAST_LEFT):
                self._refused[at] = "budget"
                continue
            piece = self._corpus.pieces[at]
            if piece.unit in self._kept[piece.document]:
                continue
            group = self._group(at)
            left = None if budget is None else budget - self._used
            cost = self._cost(piece.document, group, left)
            if (
                left is not None
                and cost > left
                and not self._fits_exactly(piece.document, group, cost - left)
            ):
                self._refused[at] = "budget"
                failures += 1
                continue
            if self._is_repeated(at):
                self._refused[at] = "repeated"
                continue
            failures = 0
            self._take(at, group, cost)

    def _fits_exactly(self, document: int, group: list[int], beyond: int) -> bool:
        """Count what an estimate puts just beyond the budget, so that rounding does not cost the best."""
        if beyond > _DOUBTFUL or self._exact_tries >= _EXACT_TRIES:
            return False
        self._exact_tries += 1
        self._kept[document].update(group)
        fits = self._choice.fits(self._texts())
        self._kept[document].difference_update(group)
        return fits

    def settle(self) -> Selection:
        """Compare with the exact count: give back what is too much, then use what is left."""
        texts = self._texts()
        while self._taken and not self._choice.fits(texts):
            at, group = self._taken.pop()
            document = self._corpus.pieces[at].document
            self._kept[document].difference_update(group)
            self._refused[at] = "budget"
            texts[document] = self._text(document)
        if self._choice.budget is not None:
            self._use_rest(texts)
        return Selection([sorted(kept) for kept in self._kept], texts, self._refused)

    def _use_rest(self, texts: list[str]) -> None:
        """Try a few more units that estimates left out, each with an exact count."""
        left = self._choice.budget or 0
        left -= self._choice.tokens("".join(texts))
        tries = 0
        for at in self._choice.order:
            if tries >= _LAST_TRIES or left < 3:
                break
            if self._refused.get(at) != "budget":
                continue
            piece = self._corpus.pieces[at]
            if piece.unit in self._kept[piece.document] or self._guess(piece.text) > left:
                continue
            group = self._group(at)
            cost = sum(self._unit_cost(piece.document, unit) for unit in group)
            if cost > left:
                continue
            tries += 1
            old = texts[piece.document]
            self._kept[piece.document].update(group)
            texts[piece.document] = self._text(piece.document)
            if self._choice.fits(texts):
                self._refused.pop(at, None)
                self._taken.append((at, group))
                left -= cost
            else:
                self._kept[piece.document].difference_update(group)
                texts[piece.document] = old

    def _group(self, at: int) -> list[int]:
        """Return the units that a piece needs and that are not kept yet, itself included."""
        piece = self._corpus.pieces[at]
        units = self._corpus.layouts[piece.document].units
        needed = {piece.unit}
        here = piece.unit
        for _ in range(_LONGEST_CHAIN):
            if not self._needs_neighbour(piece.document, here):
                break
            here -= 1
            needed.add(here)
        for unit in tuple(needed):
            needed.update(units[unit].heads)
        return sorted(needed - self._kept[piece.document])

    def _needs_neighbour(self, document: int, unit: int) -> bool:
        """Tell whether a sentence needs the one before it: "This ..." always, "It ..." without a title."""
        units = self._corpus.layouts[document].units
        own = units[unit]
        if not own.leans or unit == 0 or units[unit - 1].kind not in {"sentence", "item"}:
            return False
        if not self._corpus.titles[document] and not own.heads:
            return True
        text = self._corpus.documents[document].text
        return bool(_DEMONSTRATIVE.match(text, own.start, own.end))

    def _take(self, at: int, group: list[int], cost: int) -> None:
        document = self._corpus.pieces[at].document
        self._kept[document].update(group)
        self._taken.append((at, group))
        self._used += cost
        words = self._corpus.pieces[at].words
        if len(words) >= _FEWEST_WORDS_COMPARED:
            self._said.append(frozenset(words))

    def _is_repeated(self, at: int) -> bool:
        """Tell whether a kept unit says the same in all but a tenth of the words, and in all numbers."""
        piece = self._corpus.pieces[at]
        if len(piece.words) < _FEWEST_WORDS_COMPARED or piece.kind == "code":
            return False
        words = frozenset(piece.words)
        for said in self._said:
            least, most = sorted((len(words), len(said)))
            if least < _SAME * most:
                continue
            shared = words & said
            if len(shared) >= _SAME * len(words | said) and not any(
                any(map(str.isdigit, word)) or word in _NEGATIONS for word in words ^ said
            ):
                return True
        return False

    def _cost(self, document: int, group: list[int], left: int | None) -> int:
        """Estimate what a group adds; a hopeless one is not counted but guessed."""
        text = self._corpus.documents[document].text
        units = self._corpus.layouts[document].units
        if left is not None:
            guess = sum(self._guess(text[units[unit].start : units[unit].end]) for unit in group)
            if guess > left:
                return guess
        cost = sum(self._unit_cost(document, unit) for unit in group)
        kept = self._kept[document]
        if not kept:
            cost += self._opening(document)
        after = kept | set(group)
        gaps = sum(1 for unit in after if unit - 1 not in after) - sum(
            1 for unit in kept if unit - 1 not in kept
        )
        if not kept:
            gaps -= 1
        return cost + max(gaps, 0) * self._gap

    def _guess(self, text: str) -> int:
        """Guess low."""
        return int(0.5 * self._per_character * len(text))

    def _unit_cost(self, document: int, unit: int) -> int:
        key = document, unit
        cost = self._costs.get(key)
        if cost is None:
            own = self._corpus.layouts[document].units[unit]
            said = self._corpus.documents[document].text[own.start : own.end]
            runs_on = own.kind in {"sentence", "lead"}
            cost = self._choice.tokens(f" {said}") if runs_on else self._choice.tokens(said) + 1
            self._costs[key] = cost
        return cost

    def _opening(self, document: int) -> int:
        """Return what a document costs before its first unit: header, separator, JSON's brackets."""
        cost = self._openings.get(document)
        if cost is None:
            layout, text = self._corpus.layouts[document], self._corpus.documents[document].text
            header = self._corpus.headers[document]
            cost = (self._choice.tokens(header) if header else 0) + 1
            if layout.shape == "json":
                cost += self._choice.tokens(text[: layout.units[0].start]) + self._choice.tokens(
                    text[layout.units[-1].end :]
                )
            self._openings[document] = cost
        return cost

    def _texts(self) -> list[str]:
        return [self._text(document) for document in range(len(self._kept))]

    def _text(self, document: int) -> str:
        text, layout = self._corpus.documents[document].text, self._corpus.layouts[document]
        return rendered(text, layout, sorted(self._kept[document]), self._choice.marker)


_NEGATIONS = frozenset(
    "not no never none neither nor without cannot n't nicht kein keine nie ohne "
    "pas non jamais sans ни не нет без".split()
)
