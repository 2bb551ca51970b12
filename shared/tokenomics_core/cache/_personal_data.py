"""What in a text points to a person: addresses, telephone numbers, accounts, cards."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

__all__ = ["KINDS", "find_personal_data"]

_EMAIL: Final = re.compile(
    r"(?<![\w.+-])([A-Za-z0-9][\w.+-]{0,63})@((?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24})\b"
)
# Mailboxes of an office, not of a person (RFC 2142 and what shops use besides).
_ROLES: Final = frozenset(
    {
        "abuse",
        "accounts",
        "admin",
        "billing",
        "careers",
        "contact",
        "customerservice",
        "customer.service",
        "feedback",
        "hello",
        "help",
        "helpdesk",
        "hostmaster",
        "info",
        "jobs",
        "legal",
        "mail",
        "marketing",
        "no-reply",
        "noreply",
        "office",
        "orders",
        "postmaster",
        "press",
        "privacy",
        "sales",
        "security",
        "service",
        "services",
        "shop",
        "support",
        "team",
        "webmaster",
    }
)
_EXAMPLE_DOMAINS: Final = ("example.com", "example.org", "example.net", "example", "test", "invalid")
_PHONE: Final = re.compile(
    r"(?<![\w.,/+#$€£-])(?:\+|00)[1-9]\d{0,2}[\s.()/-]{0,2}(?:\d[\s.()/-]{0,2}){6,12}\d(?![\w.,]?\d)"
    r"|(?<![\w.,/+#$€£-])\(?0?[2-9]\d{2}\)?[\s.-]\d{3}[\s.-]\d{4}(?![\w-])"
    r"|(?<![\w.,/+#$€£-])0[1-9]\d{1,4}[\s/-]\d{3,8}(?:[\s/-]?\d{1,6})?(?![\w-])"
)
_FREE_CALL: Final = re.compile(r"^\D*(?:\+?1\D?)?8(?:00|33|44|55|66|77|88)\D|^\D*0?\D?0?800\D")
_IBAN: Final = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}(?![A-Za-z0-9])")
_CARD: Final = re.compile(r"(?<![\d.-])(?:\d[ -]?){12,18}\d(?![\d.]?\d)")
_SSN: Final = re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
# One pass that rules most texts out: without one of these there is nothing to find.
_HINT: Final = re.compile(r"@|\d[\d\s().+/-]{5,}\d|[A-Z]{2}\d{2}")


def find_personal_data(text: str, kinds: Iterable[str], allowed: frozenset[str] = frozenset()) -> str | None:
    """Return the first kind of personal data that a text holds; None where it holds none of the kinds.

    Args:
        text: What is looked through.
        kinds: Of `KINDS`.
        allowed: Addresses, numbers and mail domains, in lower case, that are nobody's secret.
    """
    if not _HINT.search(text):
        return None
    return next((kind for kind in kinds if KINDS[kind](text, allowed)), None)


def _has_email(text: str, allowed: frozenset[str]) -> bool:
    for found in _EMAIL.finditer(text):
        name, domain = found[1].lower(), found[2].lower()
        if name in _ROLES or domain in allowed or f"{name}@{domain}" in allowed:
            continue
        if not domain.endswith(_EXAMPLE_DOMAINS):
            return True
    return False


def _has_phone(text: str, allowed: frozenset[str]) -> bool:
    return any(
        not _FREE_CALL.match(found[0]) and _digits(found[0]) not in allowed and not _is_card(found[0])
        for found in _PHONE.finditer(text)
    )


def _has_iban(text: str, allowed: frozenset[str]) -> bool:
    return any(
        _is_iban(found[0]) and found[0].replace(" ", "").lower() not in allowed
        for found in _IBAN.finditer(text)
    )


def _has_card(text: str, allowed: frozenset[str]) -> bool:
    return any(_is_card(found[0]) and _digits(found[0]) not in allowed for found in _CARD.finditer(text))


def _has_ssn(text: str, allowed: frozenset[str]) -> bool:
    return any(found[0] not in allowed for found in _SSN.finditer(text))


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdigit())


def _is_iban(text: str) -> bool:
    """Check the two digits of ISO 13616; a text that goes on after it is cut word by word."""
    words = re.split(r"[ -]", text)
    for end in range(len(words), 0, -1):
        account = "".join(words[:end])
        if not 15 <= len(account) <= 34:
            continue
        turned = account[4:] + account[:4]
        if int("".join(str(int(char, 36)) for char in turned)) % 97 == 1:
            return True
    return False


def _is_card(text: str) -> bool:
    """Check the number by Luhn's formula (ISO/IEC 7812-1) and that an issuer begins like this."""
    digits = [int(char) for char in _digits(text)]
    if not 13 <= len(digits) <= 19 or digits[0] not in {2, 3, 4, 5, 6} or len(set(digits)) == 1:
        return False
    doubled = [digit if index % 2 == 0 else digit * 2 for index, digit in enumerate(reversed(digits))]
    return sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0


KINDS: Final[dict[str, Callable[[str, frozenset[str]], bool]]] = {
    "email": _has_email,
    "phone": _has_phone,
    "iban": _has_iban,
    "card": _has_card,
    "ssn": _has_ssn,
}
"""What is looked for, by name; `ssn` is the social security number of the United States."""
