"""The outcome rows that the routing benchmarks measure on, and how they are split."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tokenomics_core.routing import OutcomeRecord

WEAK, STRONG = "mixtral-8x7b-instruct", "gpt-4-1106-preview"
USD_PER_MTOK = {WEAK: (0.6, 0.6), STRONG: (10.0, 30.0)}
"""Input and output prices as stated in the method; tokens are characters / 4 of question and answer."""


@dataclass(frozen=True)
class Pairs:
    """Questions that the weak and the strong model both answered."""

    name: str
    records: list[OutcomeRecord]
    answers: list[str]

    @property
    def texts(self) -> list[str]:
        return [record.text for record in self.records]

    def outcomes(self) -> dict[str, np.ndarray]:
        return {tier: np.array([row.outcomes[tier] for row in self.records]) for tier in (WEAK, STRONG)}

    def only(self, kept: np.ndarray) -> Pairs:
        return Pairs(
            self.name,
            [self.records[at] for at in np.flatnonzero(kept)],
            [self.answers[at] for at in np.flatnonzero(kept)] if self.answers else [],
        )

    def is_train(self) -> np.ndarray:
        """The fixed split: train where the SHA-256 of the question, read as an integer, is even."""
        return np.array([hashlib.sha256(text.encode()).digest()[-1] % 2 == 0 for text in self.texts])


def read_rows(data: Path, name: str) -> list[dict] | None:
    path = data / "routing" / f"{name}.jsonl.gz"
    if not path.is_file():
        print(f"{name}: skipped, there is no {path}")
        return None
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def read_pairs(data: Path, name: str) -> Pairs | None:
    """Read a RouteLLM set without the rows that it lists as contaminated."""
    rows = read_rows(data, name)
    if rows is None:
        return None
    kept = [row for row in rows if not row["contaminated"]]
    answers = [row["responses"][WEAK] for row in kept] if "responses" in kept[0] else []
    records = [
        OutcomeRecord(
            text=row["query_text"],
            outcomes={tier: row["scores"][tier] for tier in (WEAK, STRONG)},
            task=row.get("subject"),
            costs_usd=_costs(row) if answers else {},
        )
        for row in kept
    ]
    return Pairs(name, records, answers)


def _costs(row: dict) -> dict[str, float]:
    costs = {}
    for tier, (usd_in, usd_out) in USD_PER_MTOK.items():
        sizes = len(row["query_text"]) / 4, len(row["responses"][tier]) / 4
        costs[tier] = (sizes[0] * usd_in + sizes[1] * usd_out) / 1e6
    return costs
