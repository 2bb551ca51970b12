"""Hand a hold over to another observer of the same call, so that two frameworks book it once."""

from __future__ import annotations

import threading
from contextvars import ContextVar

from tokenomics_core.budgets._budgets import Budgets
from tokenomics_core.budgets._reservation import Reservation

__all__ = ["Offer", "offer", "take_offer"]


class Offer:
    """A reservation for a call that is about to be made, perhaps through another framework."""

    def __init__(self, budgets: Budgets, reservation: Reservation) -> None:
        self.budgets = budgets
        self._reservation: Reservation | None = reservation
        self._lock = threading.Lock()

    def take(self) -> Reservation | None:
        """Return the reservation, once."""
        with self._lock:
            taken, self._reservation = self._reservation, None
        return taken

    def close(self) -> None:
        """Offer it no longer, since the call has ended."""
        self.take()


_offered: ContextVar[Offer | None] = ContextVar("tokenomics_offered_hold", default=None)


def offer(budgets: Budgets, reservation: Reservation) -> Offer:
    """Offer a reservation to whoever sees the same call next, in this context and those copied from it.

    Who takes it settles it by what it knows; a second settlement changes nothing.
    """
    made = Offer(budgets, reservation)
    _offered.set(made)
    return made


def take_offer(budgets: Budgets) -> Reservation | None:
    """Return what the same budgets hold for the call that begins here; None where they hold nothing."""
    made = _offered.get()
    return made.take() if made is not None and made.budgets is budgets else None
