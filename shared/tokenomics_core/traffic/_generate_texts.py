"""Answers, tasks, tickets and letters for synthetic traffic, drawn from sentences with places to fill."""

from __future__ import annotations

import json
from importlib.resources import files
from random import Random

__all__ = [
    "answer_about",
    "code_reply",
    "code_request",
    "easy_edit",
    "edited",
    "follow_up",
    "hard_case",
    "letter",
    "letter_request",
    "opinion",
    "rules",
    "ticket",
    "ticket_label",
]


def answer_about(random: Random, thing: str, *, sentences: int) -> str:
    """Answer a customer in some sentences, the first of which names the thing."""
    first = _pick(random, "openings").format(x=thing)
    return " ".join([first, *(_fill(random, line) for line in random.sample(_BANK["steps"], sentences - 1))])


def follow_up(random: Random, thing: str) -> str:
    """Ask on in a conversation."""
    return _fill(random, _pick(random, "follow_ups")).replace("{x}", thing)


def letter_request(random: Random, number: int) -> str:
    """Ask for a letter about a case with a number."""
    return (
        f"Draft {_pick(random, 'letter_kinds')} to {_name(random)} about case {number}. "
        f"Mention that {_fact(random)} and that {_fact(random)}."
    )


def letter(random: Random, *, sentences: int) -> str:
    """Write a letter of some sentences."""
    lines = [_fill(random, _pick(random, "letter_lines")) for _ in range(sentences)]
    return f"Dear {_name(random)},\n\n" + " ".join(lines) + "\n\nKind regards,\nThe service team"


def easy_edit(random: Random, number: int) -> tuple[str, str]:
    """Return a small request about a text, which any model can do, and that text."""
    text = _pick(random, "edit_texts").format(name=_name(random).split()[0], day=_pick(random, "days"))
    return _pick(random, "edits").format(n=number, text=text), text


def edited(text: str) -> str:
    """Return what a small request asks for."""
    return f"Here it is: {text[0].upper()}{text[1:].rstrip('.')}."


def hard_case(random: Random, number: int) -> str:
    """Describe a case of law that takes knowledge and several steps to decide."""
    case = " ".join(
        (
            _pick(random, "cases"),
            _pick(random, "complications"),
            _pick(random, "defences"),
            _pick(random, "case_questions"),
        )
    )
    values = {
        "name": _name(random).split()[1],
        "other": _name(random).split()[1],
        "amount": f"{random.randrange(12, 980)},{random.randrange(1000):03d}",
        "months": random.randrange(3, 40),
        "share": random.randrange(5, 60),
    }
    return f"File {number}. " + case.format(**values)


def opinion(random: Random, *, sentences: int) -> str:
    """Write a long answer to a case."""
    lines = [_fill(random, _pick(random, "opinions")) for _ in range(sentences)]
    return "\n\n".join(" ".join(lines[at : at + 4]) for at in range(0, len(lines), 4))


def code_request(random: Random, number: int) -> str:
    """Ask for a change to a function."""
    name = _identifier(random)
    return (
        f"{_pick(random, 'code_asks').format(name=name)}\n\n```python\n# ticket {number}\n"
        f"{_function(random, name)}\n```"
    )


def code_reply(random: Random, *, functions: int) -> str:
    """Answer with code and a few words on it."""
    code = "\n\n\n".join(_function(random, _identifier(random)) for _ in range(functions))
    return f"{_fill(random, _pick(random, 'code_words'))}\n\n```python\n{code}\n```\n\n" + _fill(
        random, _pick(random, "code_words")
    )


def ticket(random: Random, number: int) -> str:
    """Write a ticket as it lies in an inbox."""
    lines = [_fill(random, _pick(random, "facts")) for _ in range(random.randrange(2, 6))]
    return f"Ticket {number} from {_name(random)}: " + "; ".join(lines) + "."


def ticket_label(random: Random) -> str:
    """Name the queue that a ticket belongs to."""
    return f'{{"label": "{_pick(random, "labels")}", "urgent": {random.choice(("true", "false"))}}}'


def rules(subject: str, count: int) -> str:
    """Write a long set of instructions about a subject, always the same."""
    lines = []
    for number in range(count):
        when = _BANK["rule_whens"][number % len(_BANK["rule_whens"])]
        then = _BANK["rule_thens"][
            (number * 7 + number // len(_BANK["rule_whens"])) % len(_BANK["rule_thens"])
        ]
        lines.append(f"- When {when.format(s=subject)}, {then.format(s=subject)}")
    return "\n".join(lines)


def _fact(random: Random) -> str:
    return _fill(random, _pick(random, "facts"))


def _pick(random: Random, of: str) -> str:
    return random.choice(_BANK[of])


def _name(random: Random) -> str:
    return f"{_pick(random, 'first')} {_pick(random, 'last')}"


def _identifier(random: Random) -> str:
    return f"{_pick(random, 'code_verbs')}_{_pick(random, 'code_adjectives')}_{_pick(random, 'code_nouns')}"


def _function(random: Random, name: str) -> str:
    noun, limit = _pick(random, "code_nouns"), random.randrange(2, 500)
    body = random.sample(_BANK["code_lines"], random.randrange(2, 5))
    lines = [line.format(noun=noun, limit=limit, field=_pick(random, "code_adjectives")) for line in body]
    return f"def {name}({noun}):\n" + "\n".join(f"    {line}" for line in lines) + f"\n    return {noun}"


def _fill(random: Random, line: str) -> str:
    """Fill the places of a sentence that it has."""
    if "{n}" in line:
        line = line.replace("{n}", str(random.randrange(2, 90)))
    if "{day}" in line:
        line = line.replace("{day}", _pick(random, "days"))
    if "{item}" in line:
        line = line.replace("{item}", _pick(random, "items"))
    if "{place}" in line:
        line = line.replace("{place}", _pick(random, "places"))
    return line


_BANK: dict[str, list[str]] = json.loads(
    files("tokenomics_core.traffic").joinpath("data", "sentences.json").read_text(encoding="utf-8")
)
