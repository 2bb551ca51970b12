"""Records as a pandas DataFrame, one row per call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from tokenomics_core.ledger import MemoryLedger
from tokenomics_core.types import SpendRecord

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["to_dataframe"]


def to_dataframe(records: Sequence[SpendRecord], money: Literal["decimal", "float"]) -> DataFrame:
    """Return the columns that a ledger gives, and one more, `tag:<name>`, for every tag.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    ledger = MemoryLedger(keep_content=True)
    for record in records:
        ledger.record(record)
    frame = ledger.to_dataframe(money=money)
    for tag in sorted({tag for record in records for tag in record.attribution.tags}):
        frame[f"tag:{tag}"] = [tags.get(tag) for tags in frame["tags"]]
    return frame
