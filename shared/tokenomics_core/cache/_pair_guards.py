"""Named reasons why two questions that look alike have different answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import product
from typing import Final

from tokenomics_core.cache._lexicon import PREFIXES, STRONG_SCOPE, opposites, stem, words_in
from tokenomics_core.cache._pair import Pair
from tokenomics_core.cache._question import IDENTIFIER, Question
from tokenomics_core.errors import ConfigurationError

__all__ = [
    "DEFAULT_GUARDS",
    "ENGLISH_GUARDS",
    "PAIR_GUARDS",
    "STRICT_GUARDS",
    "chosen_guards",
    "fired_guards",
    "objection",
]

PairGuard = Callable[[Pair], bool]

_WORD: Final = re.compile(r"\w+")
_PERSONS: Final = {
    "i": "i", "me": "i", "my": "i", "mine": "i", "myself": "i",
    "we": "we", "us": "we", "our": "we", "ours": "we",
    "he": "he", "him": "he", "his": "he",
    "she": "she", "her": "she", "hers": "she",
    "they": "they", "them": "they", "their": "they",
    "you": "you", "your": "you", "yours": "you",
}  # fmt: skip
_ARTICLES: Final = frozenset({"a", "an", "the"})
_FUTURE: Final = frozenset({"will", "shall"})
_PAST: Final = frozenset({"did", "was", "were", "had"})
_FLIPS: Final = ({"ought", "may"}, {"ought", "done"}, {"may", "done"})
_COMPATIBLE: Final = frozenset(
    frozenset(pair.split("/"))
    for pair in words_in(
        "how/where how/what how/which what/who what/why what/when what/where what/which which/who "
        "which/where "
        "which/when how_much/what how_much/how how_long/when how_soon/when how_soon/how_long "
        "how_fast/how_long "
        "how_fast/when how_late/when how_long/what how_big/what how_tall/what how_many/what how_far/what "
        "how_old/what how_high/what how_high/how_tall how_deep/what how_wide/what how_heavy/what "
        "how_far/how_long"
    )
)


def number_differs(pair: Pair) -> bool:
    """One question has a number, id or version that the other has not."""
    return pair.a.numbers != pair.b.numbers


def unit_differs(pair: Pair) -> bool:
    """Each question has a unit or currency that the other has not, or only one has a quantity's unit."""
    a, b = pair.a.units, pair.b.units
    return bool(a - b and b - a) or (a != b and bool(pair.a.numbers | pair.b.numbers))


def date_differs(pair: Pair) -> bool:
    """Days, months or parts of the day differ."""
    return pair.a.dates != pair.b.dates


def negation_differs(pair: Pair) -> bool:
    """One question is negated and the other is not."""
    return (pair.a.negations - pair.b.negations) % 2 == 1


def antonym_differs(pair: Pair) -> bool:
    """A word of one question is the opposite of a word of the other, listed or by prefix."""
    left = {stem(token) for token in set(pair.a.tokens) - set(pair.b.tokens)} - pair.b.stems
    right = {stem(token) for token in set(pair.b.tokens) - set(pair.a.tokens)} - pair.a.stems
    listed = opposites()
    return any((one, other) in listed or _is_prefixed(one, other) for one, other in product(left, right))


def name_differs(pair: Pair) -> bool:
    """Each question has a name that the other does not mention."""
    left = [name for name in pair.a.names if name not in pair.b.stems and name in pair.only_a]
    right = [name for name in pair.b.names if name not in pair.a.stems and name in pair.only_b]
    return bool(left and right)


def identifier_differs(pair: Pair) -> bool:
    """One question names a thing in code, a file or a host that the other lacks; `b` may stand for `a.b`."""
    a, b = pair.a.identifiers, pair.b.identifiers
    if not a and not b:
        return False
    return _lacks(a, b, pair.b) or _lacks(b, a, pair.a)


def _lacks(wanted: frozenset[str], there: frozenset[str], other: Question) -> bool:
    """Whether a question does not have all of the identifiers, be it by their last part."""
    words = set(_WORD.findall(IDENTIFIER.sub(" ", other.text).lower()))
    return not all(
        any(_is_same(name, known) for known in there) or name.rpartition(".")[2] in words for name in wanted
    )


def _is_same(one: str, other: str) -> bool:
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def roles_swapped(pair: Pair) -> bool:
    """The same words stand in each other's place: A to B, B to A."""
    if pair.only_a or pair.only_b:
        return False
    left, right = _placed(pair.a.tokens), _placed(pair.b.tokens)
    a, b = set(left), set(right)
    return len(a ^ b) < 0.2 * len(a | b) and len(_displaced(left, right)) >= 2


def scope_differs(pair: Pair) -> bool:
    """Only one question has a word such as only, all, before, without, last."""
    left, right = pair.a.scope - pair.b.scope, pair.b.scope - pair.a.scope
    if (left and right) or (left | right) & STRONG_SCOPE:
        return True
    return bool(left or right) and pair.overlap > 0.8


def person_differs(pair: Pair) -> bool:
    """It is about me in one question and about somebody else in the other."""
    a = {_PERSONS[token] for token in pair.a.tokens if token in _PERSONS}
    b = {_PERSONS[token] for token in pair.b.tokens if token in _PERSONS}
    left, right = a - b - {"you"}, b - a - {"you"}
    if left and right and left != {"we"} and right != {"we"}:
        return True
    if (left | right) & {"he", "she", "they"} and pair.overlap > 0.8:
        return True
    owners = {"my", "your"}
    mine, theirs = owners & set(pair.a.tokens), owners & set(pair.b.tokens)
    subjects_kept = {"i", "you"} & set(pair.a.tokens) == {"i", "you"} & set(pair.b.tokens)
    return len(mine) == len(theirs) == 1 and mine != theirs and subjects_kept and pair.overlap > 0.8


def tense_differs(pair: Pair) -> bool:
    """One is about the past and the other about the future, or one about duty and the other about leave."""
    a, b = set(pair.a.tokens), set(pair.b.tokens)
    flipped = (a & _FUTURE and b & _PAST and not b & _FUTURE) or (
        b & _FUTURE and a & _PAST and not a & _FUTURE
    )
    return bool(flipped) or {_modality(pair.a.tokens), _modality(pair.b.tokens)} in _FLIPS


def question_word_differs(pair: Pair) -> bool:
    """They ask for different things: who and when, why and how long."""
    a, b = pair.a.asks.replace(" ", "_"), pair.b.asks.replace(" ", "_")
    return bool(a and b) and a != b and frozenset({a, b}) not in _COMPATIBLE


def aspect_differs(pair: Pair) -> bool:
    """Each names what it asks for, and the other does not speak of that: how many matches, what cutoff."""
    a, b = pair.a, pair.b
    if not a.aspect or not b.aspect:
        return False
    alike = {word for both in pair.alike for word in both}
    return not (a.aspect & b.free or b.aspect & a.free or (a.aspect | b.aspect) & alike)


def word_swapped(pair: Pair) -> bool:
    """One or two words that carry meaning are others, the rest is much the same."""
    if not pair.only_a or not pair.only_b or max(len(pair.only_a), len(pair.only_b)) > 2:
        return False
    return _template_overlap(pair) >= (0.6 if pair.shared else 0.8)


def word_inserted(pair: Pair) -> bool:
    """One question has a word or two more that carry meaning; the rest is much the same."""
    if bool(pair.only_a) == bool(pair.only_b) or pair.alike or len(pair.only_a + pair.only_b) > 2:
        return False
    return _template_overlap(pair) >= 0.65


def name_added(pair: Pair) -> bool:
    """One question has a name that the other does not mention."""
    return any(name in pair.only_a for name in pair.a.names) or any(
        name in pair.only_b for name in pair.b.names
    )


def word_added(pair: Pair) -> bool:
    """One question has a word more that carries meaning."""
    return bool(pair.only_a or pair.only_b)


def order_differs(pair: Pair) -> bool:
    """Words that both questions have stand in another order."""
    a = [word for word in pair.a.content if word in pair.shared]
    b = [word for word in pair.b.content if word in pair.shared]
    return a != b and pair.overlap > 0.8


def _is_prefixed(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) > 2 and long.endswith(short) and long.removesuffix(short).rstrip("-") in PREFIXES


def _modality(tokens: tuple[str, ...]) -> str:
    """Say whether a question asks for a duty, for leave or for what was done: `must I`, `can I`, `have I`."""
    for place, word in enumerate(tokens[:-1]):
        if word in ("required", "mandatory"):
            return "ought"
        if tokens[place + 1] not in _PERSONS:
            continue
        after = tokens[place + 2 : place + 4]
        if word in ("must", "should") or (word in ("do", "does") and _is_duty(after)):
            return "ought"
        if word in ("can", "could", "may", "am") and (word != "am" or "allowed" in after):
            return "may"
        if word in ("have", "has") and place == 0:
            return "done"
    return ""


def _is_duty(after: tuple[str, ...]) -> bool:
    return after[:1] == ("need",) or after == ("have", "to")


def _template_overlap(pair: Pair) -> float:
    """Share of words that both have among all that carry no meaning of their own and were not swapped."""
    swapped = {pair.a.words[word] for word in pair.only_a} | {pair.b.words[word] for word in pair.only_b}
    swapped |= {
        words[word]
        for one, other in pair.alike
        for words, word in ((pair.a.words, one), (pair.b.words, other))
    }
    a, b = (
        {stem(word) for word in one.tokens if word not in swapped | _ARTICLES} for one in (pair.a, pair.b)
    )
    return len(a & b) / len(a | b) if a | b else 1.0


def _placed(tokens: tuple[str, ...]) -> list[str]:
    return [_PERSONS.get(token, token) for token in tokens if token not in _ARTICLES]


def _displaced(left: list[str], right: list[str]) -> set[str]:
    """Words that kept neither the word before nor the word after, unless `and` or `or` joins them."""
    before, after = _sides(left), _sides(right)
    moved = {word for word in before.keys() & after.keys() if not before[word] & after[word]}
    places = [place for place, token in enumerate(left) if token in moved]
    order_left, order_right = [left[place] for place in places], [token for token in right if token in moved]
    if order_left == order_right:
        return set()
    between = set(left[places[0] + 1 : places[-1]])
    return set() if between and between <= {"and", "or", "vs", "versus"} else moved


def _sides(tokens: list[str]) -> dict[str, set[tuple[str, int]]]:
    found: dict[str, set[tuple[str, int]]] = {}
    for place, token in enumerate(tokens):
        if token not in _UNPLACED:
            sides = found.setdefault(token, set())
            sides.add((tokens[place - 1] if place else "", -1))
            sides.add((tokens[place + 1] if place + 1 < len(tokens) else "", 1))
    return found


_UNPLACED: Final = frozenset(
    words_in("is are was were be do does did to of in on at by for and or from with")
)

PAIR_GUARDS: Final[dict[str, PairGuard]] = {
    "number": number_differs,
    "unit": unit_differs,
    "date": date_differs,
    "negation": negation_differs,
    "antonym": antonym_differs,
    "name": name_differs,
    "identifier": identifier_differs,
    "order": roles_swapped,
    "scope": scope_differs,
    "person": person_differs,
    "tense": tense_differs,
    "question_word": question_word_differs,
    "aspect": aspect_differs,
    "swap": word_swapped,
    "insertion": word_inserted,
    "name_added": name_added,
    "word_added": word_added,
    "word_order": order_differs,
}
ENGLISH_GUARDS: Final = frozenset(
    {"negation", "antonym", "scope", "person", "tense", "question_word", "aspect"}
)
STRICT_GUARDS: Final = tuple(PAIR_GUARDS)
DEFAULT_GUARDS: Final = STRICT_GUARDS[:15]


def chosen_guards(guards: str | Iterable[str], *, english: bool = True) -> tuple[str, ...]:
    """Name the guards of a choice: `default`, `strict`, `none`, or names of guards.

    Raises:
        ConfigurationError: No guard has such a name.
    """
    sets: dict[str, tuple[str, ...]] = {"default": DEFAULT_GUARDS, "strict": STRICT_GUARDS, "none": ()}
    names = sets.get(guards, (guards,)) if isinstance(guards, str) else tuple(guards)
    for name in names:
        if name not in PAIR_GUARDS:
            known = ", ".join([*sets, *PAIR_GUARDS])
            raise ConfigurationError(f"guards has {name!r}, which is none of: {known}; no policy was made")
    return tuple(name for name in PAIR_GUARDS if name in names and (english or name not in ENGLISH_GUARDS))


def fired_guards(pair: Pair) -> frozenset[str]:
    """Name all guards that object to a pair, the strict ones included."""
    return frozenset(name for name, guard in PAIR_GUARDS.items() if guard(pair))


def objection(pair: Pair, guards: Iterable[str]) -> str | None:
    """Name the first of the guards that objects to serving one question's answer to the other."""
    return next((name for name in guards if PAIR_GUARDS[name](pair)), None)
