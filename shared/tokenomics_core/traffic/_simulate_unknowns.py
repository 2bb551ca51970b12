"""Say in words what a log cannot tell of what did not happen."""

from __future__ import annotations

from collections.abc import Mapping

from tokenomics_core.traffic._simulate_plan import Plan

__all__ = ["unknowns_of"]


def unknowns_of(
    plan: Plan,
    *,
    estimated: int,
    unpriced: int,
    hits: int,
    refused: int,
    shortened: int,
    left: Mapping[str, int],
) -> tuple[str, ...]:
    """Return one sentence for each thing that the result takes for granted."""
    said: list[str] = []
    if estimated:
        said.append(
            f"{estimated} calls would have been sent otherwise than they were, and the log holds no answer "
            "to that: they are taken to be as long as the logged ones, and how good they are is not known"
        )
    if shortened and plan.compression is not None and plan.compression.template is None:
        said.append(
            "without a template passages are told from questions by blank lines; name the template of the "
            "prompt to cut what the application's compressor would cut"
        )
    if hits or refused:
        said.append(
            "later turns are replayed as they were asked, though other answers might have led to other ones"
        )
        said.append(
            "reads from the provider's prompt cache are those of the log, with fewer calls to warm it"
        )
    if hits:
        said.append("a look-up is taken to need no time")
    if unpriced:
        said.append(f"{unpriced} calls have no known price and are in neither sum")
    for why, count in left.items():
        said.append(f"{count} calls were left as they are: {why}")
    return tuple(said)
