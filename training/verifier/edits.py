"""Small edits of a question: those that change its answer, and those that do not."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from tokenomics_core.cache._lexicon import opposites, stem, words_in
from tokenomics_core.cache._question import analyze

_POLITE = (
    "please ",
    "hi, ",
    "hello, ",
    "hey, ",
    "could you tell me: ",
    "i was wondering, ",
    "quick question: ",
)
_OPENINGS = (
    (r"^how do i ", ("how can i ", "how could i ", "how would i ", "how to ", "what is the way to ")),
    (r"^how can i ", ("how do i ", "how to ", "what do i have to do to ")),
    (r"^what is ", ("what's ", "can you tell me what is ", "tell me ")),
    (r"^what's ", ("what is ", "tell me ")),
    (r"^can i ", ("may i ", "am i able to ", "is it possible to ", "could i ")),
    (r"^i want to ", ("i would like to ", "i'd like to ", "i need to ", "how do i ")),
    (r"^i need to ", ("i have to ", "i want to ", "help me ")),
    (r"^tell me ", ("can you tell me ", "give me ", "please tell me ")),
)
_NEGATABLE = (
    "can",
    "do",
    "does",
    "did",
    "is",
    "are",
    "was",
    "were",
    "will",
    "would",
    "should",
    "could",
    "have",
    "has",
)
_ADDED = words_in("only abroad free online twice without before after instead again temporarily all")


def changed(text: str, words: Sequence[str], rng: random.Random) -> str | None:
    """Change one thing that changes the answer; None where the edit does not fit."""
    edit = rng.choice(
        (_other_number, _negated, _opposite, _other_word, _other_word, _other_word, _swapped, _more)
    )
    found = edit(text, words, rng)
    return found if found and found != text else None


def same(text: str, rng: random.Random) -> str | None:
    """Return the question said a little differently; None where the edit does not fit."""
    edit = rng.choice((_reopened, _reopened, _polite, _slip, _plain))
    found = edit(text, rng)
    return found if found and found != text else None


def _other_number(text: str, words: Sequence[str], rng: random.Random) -> str | None:
    del words
    if re.search(r"\d", text):
        return re.sub(r"\d", lambda found: str((int(found[0]) + rng.randrange(1, 9)) % 10), text, count=1)
    return f"{text} {rng.randrange(2, 99)}"


def _negated(text: str, words: Sequence[str], rng: random.Random) -> str | None:
    del words, rng
    parts = text.split()
    place = next((i for i, part in enumerate(parts) if part.lower() in _NEGATABLE), None)
    return None if place is None else " ".join([*parts[: place + 1], "not", *parts[place + 1 :]])


def _opposite(text: str, words: Sequence[str], rng: random.Random) -> str | None:
    del words
    parts = text.split()
    listed = sorted(opposites())
    hits = [(i, other) for i, part in enumerate(parts) for one, other in listed if one == stem(part.lower())]
    if not hits:
        return None
    place, other = rng.choice(hits)
    return " ".join([*parts[:place], other.replace("_", " "), *parts[place + 1 :]])


def _other_word(text: str, words: Sequence[str], rng: random.Random) -> str | None:
    parts = text.split()
    content = set(analyze(text).content)
    places = [i for i, part in enumerate(parts) if part.lower().strip("?.!,") in content]
    if not places:
        return None
    place = rng.choice(places)
    return " ".join([*parts[:place], rng.choice(words), *parts[place + 1 :]])


def _swapped(text: str, words: Sequence[str], rng: random.Random) -> str | None:
    del words
    parts = text.split()
    content = set(analyze(text).content)
    places = [i for i, part in enumerate(parts) if part.lower().strip("?.!,") in content]
    if len(places) < 2:
        return None
    one, other = rng.sample(places, 2)
    parts[one], parts[other] = parts[other], parts[one]
    return " ".join(parts) if abs(one - other) > 1 else None


def _more(text: str, words: Sequence[str], rng: random.Random) -> str | None:
    parts = text.rstrip("?.! ").split()
    place = rng.randrange(1, len(parts) + 1)
    return " ".join([*parts[:place], rng.choice([rng.choice(_ADDED), rng.choice(words)]), *parts[place:]])


def _reopened(text: str, rng: random.Random) -> str | None:
    low = text[:1].lower() + text[1:]
    for pattern, others in _OPENINGS:
        if re.match(pattern, low):
            return re.sub(pattern, rng.choice(others), low)
    return None


def _polite(text: str, rng: random.Random) -> str:
    return rng.choice(_POLITE) + text if rng.random() < 0.7 else f"{text.rstrip('?.!')}, thanks"


def _slip(text: str, rng: random.Random) -> str | None:
    parts = text.split()
    long = [i for i, part in enumerate(parts) if len(part) > 6 and part.isalpha()]
    if not long:
        return None
    place, cut = rng.choice(long), rng.randrange(2, 5)
    word = parts[place]
    parts[place] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(parts)


def _plain(text: str, rng: random.Random) -> str:
    return text.upper() if rng.random() < 0.2 else text.rstrip("?.!") + rng.choice(["", "?", "??", "!"])
