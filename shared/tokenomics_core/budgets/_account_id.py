"""How an account is named, and whose it is by its name."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["account_id", "belongs_to"]


def account_id(window: str, names: Sequence[str], values: Sequence[str], start_us: int) -> str:
    """Return the name that an account has everywhere.

    Args:
        window: The window's own name, without a vertical bar.
        names: The parts of the scope, sorted.
        values: The value of each; none for the scope of all calls.
        start_us: When the window starts.
    """
    # The length before each part keeps "a/b" of one scope apart from "a" and "b" of two.
    return (
        f"{window}|{'+'.join(map(_counted, names))}|{''.join(map(_counted, values))}|{start_us // 1_000_000}"
    )


def belongs_to(account: str, name: str, value: str) -> bool:
    """Whether an account counts what one user, feature ... spends, alone or combined with others."""
    start = account.find("|") + 1
    try:
        names, at = _parts(account, start)
        values, _ = _parts(account, at + 1)
    except (ValueError, IndexError):
        return False  # no name of ours
    return dict(zip(names, values, strict=False)).get(name) == value


def _counted(part: str) -> str:
    return f"{len(part)}:{part}"


def _parts(text: str, at: int) -> tuple[list[str], int]:
    found = []
    while text[at] != "|":
        colon = text.index(":", at)
        end = colon + 1 + int(text[at:colon])
        found.append(text[colon + 1 : end])
        at = end + 1 if text[end] == "+" else end
    return found, at
