"""What a search for one kind of waste returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

__all__ = ["Found", "nothing_found"]


class Found(NamedTuple):
    """Calls that wasted something.

    Attributes:
        rows: Their places in the order of time, each once.
        pico: What each wasted, in pico-dollars: above 0, and at most what it cost.
        probability: Mean chance that one is counted rightly, where a model states it.
        details: What a reader may want to know of the whole, in a few words.
    """

    rows: Ints
    pico: Ints
    probability: float | None = None
    details: str = ""


def nothing_found() -> Found:
    """Return that there is no such waste."""
    return Found(np.empty(0, np.int64), np.empty(0, np.int64))
