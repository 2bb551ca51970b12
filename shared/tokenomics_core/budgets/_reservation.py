"""What a call holds while it runs, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from tokenomics_core.budgets._money import from_nano
from tokenomics_core.budgets._store import Account, Amounts, Hold
from tokenomics_core.budgets._window import from_us
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.types import Attribution

__all__ = ["Reservation", "Settlement"]


@dataclass(frozen=True, slots=True, eq=False)
class Reservation:
    """An amount set aside for one call in every limit that the call touches.

    It is a plain value: whoever has it may settle it, in this process or another.

    Attributes:
        hold: What the store knows of it.
        attribution: Who the call is for.
        at_us: When it was made, by the store's time in microseconds since 1970.
        expires_us: When its lease ends.
        downgrade_to: The tier that a soft limit asks for; None where none does.
        max_output_tokens: The output that the amount pays for, where it was fitted.
        guarded: Whether a store holds the amount; False where none could and the budgets are open on failure.
    """

    hold: Hold
    attribution: Attribution
    at_us: int
    expires_us: int
    downgrade_to: str | None = None
    max_output_tokens: int | None = None
    guarded: bool = True

    @property
    def id(self) -> str:
        """What makes settling twice settle once."""
        return self.hold.id

    @property
    def owner(self) -> str:
        """Who holds it."""
        return self.hold.owner

    @property
    def usd(self) -> Decimal:
        """What is set aside, in USD."""
        return from_nano(self.hold.amounts.nano_usd)

    @property
    def tokens(self) -> int:
        """What is set aside, in tokens."""
        return self.hold.amounts.tokens

    @property
    def calls(self) -> int:
        """What is set aside, in calls."""
        return self.hold.amounts.calls

    @property
    def reserved_at(self) -> datetime:
        """When it was made."""
        return from_us(self.at_us)

    @property
    def expires_at(self) -> datetime:
        """When its lease ends."""
        return from_us(self.expires_us)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reservation) and self.hold.id == other.hold.id

    def __hash__(self) -> int:
        return hash(self.hold.id)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON types, for who settles after a restart or elsewhere."""
        hold = self.hold
        return {
            "hold": [hold.id, hold.owner, list(hold.amounts), [list(a) for a in hold.accounts], hold.lapses],
            "attribution": self.attribution.to_dict(),
            "at_us": self.at_us,
            "expires_us": self.expires_us,
            "downgrade_to": self.downgrade_to,
            "max_output_tokens": self.max_output_tokens,
            "guarded": self.guarded,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reservation:
        """Rebuild what `to_dict` returned."""
        values = dict(data)
        try:
            hold_id, owner, amounts, accounts, lapses = values["hold"]
            places = tuple(Account(*place) for place in accounts)
            values["hold"] = Hold(hold_id, owner, Amounts(*amounts), places, lapses)
            values["attribution"] = Attribution(**values["attribution"])
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"not a reservation: {data!r}; nothing was rebuilt") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What settling a reservation did.

    Attributes:
        usd: What was booked, in USD.
        tokens: What was booked, in tokens.
        overshoot_usd: How much more than was set aside; the estimate was too low by so much.
        overshoot_tokens: Likewise in tokens.
        late: Whether the amount had been freed before, as its lease had ended.
        repeated: Whether the reservation was settled before; then nothing was booked now.
        recorded: Whether the store has it; where it could not be reached, the amount is kept and written
            before the next step that it takes.
    """

    usd: Decimal
    tokens: int
    overshoot_usd: Decimal = field(default=Decimal(0))
    overshoot_tokens: int = 0
    late: bool = False
    repeated: bool = False
    recorded: bool = True
