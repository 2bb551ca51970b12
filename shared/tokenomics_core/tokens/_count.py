"""A token count that says how it was found."""

from __future__ import annotations

from typing import Self

__all__ = ["TokenCount"]


class TokenCount(int):
    """A number of tokens; it is an `int` and computes as one.

    Attributes:
        estimated: Whether the provider may count differently: the vocabulary was not at hand or is not
            public, or the request holds parts (tools, images) whose price in tokens is not documented.
        method: How it was found, in words.
    """

    estimated: bool
    method: str

    def __new__(cls, tokens: int, *, estimated: bool, method: str) -> Self:
        count = super().__new__(cls, tokens)
        count.estimated = estimated
        count.method = method
        return count

    def __repr__(self) -> str:
        return f"TokenCount({int(self)}, estimated={self.estimated}, method={self.method!r})"

    def __str__(self) -> str:
        return str(int(self))

    def __getnewargs_ex__(self) -> tuple[tuple[int], dict[str, object]]:
        return (int(self),), {"estimated": self.estimated, "method": self.method}
