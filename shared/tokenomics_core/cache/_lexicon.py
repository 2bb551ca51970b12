"""English words that change an answer: written for this project, read once, never learned."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from itertools import permutations, product
from typing import Final

__all__ = [
    "DATES",
    "IRREGULAR",
    "NEGATIONS",
    "NUMBER_WORDS",
    "PREFIXES",
    "SCOPE",
    "STOP",
    "STRONG_SCOPE",
    "UNITS",
    "opposites",
    "stem",
    "synonyms",
    "words_in",
]


def words_in(text: str) -> list[str]:
    """Cut a list of words at its spaces."""
    return text.split()


STOP: Final = frozenset(
    words_in("""
    a an the this that these those there here it its itself i me my mine myself we us our ours you your
    yours he
    him his she her hers they them their theirs one who whom whose what which when where why how am is are was
    were be been being do does did doing done have has had having will would shall should can could may might
    must ought need of to in on at by for with about into through from up down out off over under and or but
    if
    so as than then too very just also some any such own same s t d ll ve re m please hi hello hey thanks
    thank
    tell know want like help let get got make go going ok okay kindly could wonder wondering possible way ways
    able really quite actually currently ever even get gets getting got there's hey yes well now um exactly
    anybody anyone somebody someone anything something thing things much many lot bit kind sort sure say says
    said told give gives given question answer explain mean because while per via else require requires
    required obtain proper properly
    """)
)

NEGATIONS: Final = frozenset(
    words_in("not no never none nothing nobody nowhere neither nor cannot unable hardly without impossible")
)

NUMBER_WORDS: Final = {
    word: str(value)
    for value, word in enumerate(
        words_in(
            "zero _ two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
            "sixteen "
            "seventeen eighteen nineteen"
        )
    )
    if word != "_"
} | {
    "twenty": "20",
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "sixty": "60",
    "seventy": "70",
    "eighty": "80",
    "ninety": "90",
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
    "billion": "1000000000",
    "dozen": "12",
    "single": "1",
    "double": "2",
    "twice": "2",
    "triple": "3",
    "half": "1/2",
    "quarter": "1/4",
    "once": "1",
}

DATES: Final = {
    **{word: word for word in words_in("today tomorrow yesterday tonight weekend weekday noon midnight")},
    **{word: word for word in words_in("morning afternoon evening night spring summer autumn winter")},
    "fall": "fall",
    "mornings": "morning",
    "evenings": "evening",
    "weekends": "weekend",
    "weekdays": "weekday",
    **{
        form: day
        for day, forms in {
            "mon": "monday mondays",
            "tue": "tuesday tuesdays tues",
            "wed": "wednesday wednesdays",
            "thu": "thursday thursdays thurs",
            "fri": "friday fridays",
            "sat": "saturday saturdays",
            "sun": "sunday sundays",
            "jan": "january jan",
            "feb": "february feb",
            "mar": "march",
            "apr": "april apr",
            "may": "may",
            "jun": "june",
            "jul": "july",
            "aug": "august aug",
            "sep": "september sept",
            "oct": "october oct",
            "nov": "november nov",
            "dec": "december dec",
            "christmas": "christmas xmas",
            "easter": "easter",
            "thanksgiving": "thanksgiving",
            "halloween": "halloween",
        }.items()
        for form in forms.split()
    },
}

UNITS: Final = {
    form: unit
    for unit, forms in {
        "mcg": "mcg µg microgram micrograms",
        "mg": "mg milligram milligrams",
        "g": "g gram grams gramme grammes",
        "kg": "kg kgs kilo kilos kilogram kilograms",
        "lb": "lb lbs",
        "oz": "oz ounce ounces",
        "ton": "ton tons tonne tonnes",
        "ml": "ml millilitre milliliter millilitres milliliters",
        "l": "litre liter litres liters",
        "gal": "gallon gallons",
        "cup": "cup cups",
        "tbsp": "tbsp tablespoon tablespoons",
        "tsp": "tsp teaspoon teaspoons",
        "mm": "mm millimetre millimeter millimetres millimeters",
        "cm": "cm centimetre centimeter centimetres centimeters",
        "m": "metre meter metres meters",
        "km": "km kilometre kilometer kilometres kilometers kms",
        "mi": "mile miles",
        "ft": "ft feet foot",
        "in": "inch inches",
        "yd": "yard yards",
        "kb": "kb kilobyte kilobytes",
        "mb": "mb megabyte megabytes",
        "gb": "gb gigabyte gigabytes",
        "tb": "tb terabyte terabytes",
        "mbps": "mbps",
        "gbps": "gbps",
        "celsius": "celsius centigrade",
        "fahrenheit": "fahrenheit",
        "kelvin": "kelvin",
        "usd": "$ usd dollar dollars buck bucks",
        "eur": "€ eur euro euros",
        "gbp": "£ gbp sterling",
        "jpy": "¥ jpy yen",
        "inr": "₹ inr rupee rupees",
        "cny": "cny rmb yuan",
        "cad": "cad",
        "aud": "aud",
        "chf": "chf franc francs",
        "btc": "btc bitcoin bitcoins",
        "eth": "eth ethereum ether",
        "cent": "cent cents",
        "pct": "% percent percentage",
        "ms": "ms millisecond milliseconds",
        "sec": "seconds secs sec",
        "min": "minute minutes mins",
        "hour": "hour hours hrs hr hourly",
        "day": "day days daily",
        "week": "week weeks weekly",
        "month": "month months monthly",
        "year": "year years yearly annual annually",
        "am": "am a.m",
        "pm": "pm p.m",
        "kw": "kw kilowatt kilowatts",
        "w": "watt watts",
        "kcal": "kcal calorie calories",
        "hz": "hz hertz",
        "ghz": "ghz",
        "mhz": "mhz",
    }.items()
    for form in forms.split()
}

SCOPE: Final = {
    form: word
    for word, forms in {
        "only": "only solely exclusively",
        "all": "all every entire whole everyone everything everybody each",
        "except": "except excluding excluded besides",
        "without": "without",
        "before": "before prior",
        "after": "after afterwards",
        "during": "during",
        "until": "until till",
        "since": "since",
        "both": "both",
        "either": "either",
        "first": "first 1st",
        "last": "last",
        "next": "next",
        "previous": "previous",
        "again": "again",
        "already": "already",
        "most": "most",
        "least": "least",
        "more": "more",
        "less": "less fewer",
        "maximum": "max maximum",
        "minimum": "min minimum",
        "always": "always",
        "sometimes": "sometimes",
        "instead": "instead",
        "permanently": "permanently permanent forever",
        "temporarily": "temporarily temporary",
        "above": "above",
        "below": "below beneath",
        "inside": "inside within",
        "outside": "outside",
        "non": "non",
        "almost": "almost nearly",
        "other": "other another",
        "if": "unless",
    }.items()
    for form in forms.split()
}

STRONG_SCOPE: Final = frozenset(
    words_in(
        "only except without before after until since both either least most maximum minimum permanently "
        "temporarily instead again always outside inside above below"
    )
)

PREFIXES: Final = (
    "un",
    "in",
    "im",
    "ir",
    "il",
    "dis",
    "non",
    "de",
    "mis",
    "re",
    "anti",
    "over",
    "under",
    "post",
    "pre",
)

IRREGULAR: Final = {
    form: base
    for base, forms in {
        "buy": "bought",
        "send": "sent",
        "pay": "paid",
        "lose": "lost",
        "find": "found",
        "take": "took taken taking",
        "write": "wrote written",
        "break": "broke broken",
        "steal": "stole stolen",
        "speak": "spoke spoken",
        "choose": "chose chosen",
        "begin": "began begun",
        "see": "saw seen",
        "come": "came coming",
        "think": "thought",
        "bring": "brought",
        "teach": "taught",
        "catch": "caught",
        "sell": "sold",
        "hold": "held",
        "keep": "kept",
        "leave": "left",
        "spend": "spent",
        "lend": "lent",
        "build": "built",
        "forget": "forgot forgotten forgetting",
        "eat": "ate eaten",
        "drive": "drove driven",
        "fly": "flew flown",
        "freeze": "froze frozen",
        "withdraw": "withdrew withdrawn",
        "run": "ran",
        "win": "won",
        "child": "children",
        "man": "men",
        "woman": "women",
        "person": "persons",
        "use": "using used",
        "die": "died dying",
    }.items()
    for form in forms.split()
}


def stem(word: str) -> str:
    """Cut inflection off an English word, the same way for all forms of most; other words stay."""
    word = IRREGULAR.get(word, word)
    if len(word) <= 3 or not word.isascii():
        return word
    if word.endswith("ies"):
        word = word[:-3] + "y"
    elif word.endswith(("sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif word[-1] == "s" and word[-2] not in "sui":
        word = word[:-1]
    word = _without_participle(word)
    if len(word) > 3 and word[-1] == "e":
        word = word[:-1]
    return word[:-1] + "i" if len(word) > 2 and word[-1] == "y" else word


def _without_participle(word: str) -> str:
    for suffix in ("ing", "ed"):
        rest = word.removesuffix(suffix)
        if rest == word or len(rest) < 3 or not any(letter in "aeiouy" for letter in rest):
            continue
        doubled = rest[-1] == rest[-2] and rest[-1] not in "lsz"
        return rest[:-1] if doubled else rest
    return word


@cache
def opposites() -> frozenset[tuple[str, str]]:
    """Pairs of stems that exclude each other, both ways round."""
    return _pairs("opposites.txt")


@cache
def synonyms() -> frozenset[tuple[str, str]]:
    """Pairs of stems that usually ask for the same, both ways round."""
    return _pairs("synonyms.txt") - opposites()


def _pairs(name: str) -> frozenset[tuple[str, str]]:
    text = files("tokenomics_core.cache").joinpath("data", name).read_text(encoding="utf-8")
    found: set[tuple[str, str]] = set()
    for line in text.splitlines():
        sides = [{stem(word) for word in side.split("/")} for side in line.split()]
        if not line.startswith("#"):
            found |= {pair for one, other in permutations(sides, 2) for pair in product(one, other)}
    return frozenset((one, other) for one, other in found if one != other)
