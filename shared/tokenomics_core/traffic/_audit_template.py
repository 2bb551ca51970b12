"""Put calls under the template that most of their kind share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tokenomics_core.traffic._audit_frame import AuditFrame

    Bools = NDArray[np.bool_]
    Ints = NDArray[np.int64]

__all__ = ["follows_talk", "templates_of"]

_CANDIDATES: Final = ("template", "start_40", "start_20", "start_10", "start_5")
_MOST_NEEDED: Final = 20
_SHARE_NEEDED: Final = 500
_SHOWN: Final = 20


def templates_of(frame: AuditFrame) -> Ints:
    """Return each call's template, 0 where it has none in common with others.

    A template is the whole of the instructions without what may change where enough calls share that; else
    the longest beginning that enough calls share: of forty words, twenty, ten or five. Enough is a
    five-hundredth of all calls, but two at least, and twenty always are.
    """
    least = max(2, min(_MOST_NEEDED, frame.rows // _SHARE_NEEDED))
    chosen = np.zeros(frame.rows, np.int64)
    for name in _CANDIDATES:
        free = chosen == 0
        keys, places, calls = np.unique(frame.column(name), return_inverse=True, return_counts=True)
        enough = (calls >= least) & (keys != 0)
        chosen = np.where(free & enough[places], keys[places], chosen)
    return chosen


def follows_talk(frame: AuditFrame) -> Bools:
    """Tell which calls go on in a talk of their own.

    Turns of the assistant's that stand word for word before the questions of twenty calls and more are
    examples, which are shown to the model, and no talk.
    """
    later = frame.has("later")
    _, places, calls = np.unique(frame.column("before"), return_inverse=True, return_counts=True)
    own: Bools = later & (calls[places] < _SHOWN)
    return own
