"""A function of one's own assesses requests, whatever of the four forms it returns."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from tokenomics_core import ConfigurationError
from tokenomics_core.routing import RouteRequest, Tier
from tokenomics_core.routing.classifiers import Assessment, AsyncClassifier, FunctionClassifier

TIERS = tuple(Tier(name=name, model=name) for name in ("small", "middle", "large"))
ASK = RouteRequest(question="why?", task="maths")


def assess(result):
    return FunctionClassifier(lambda request, tiers: result, name="mine").assess(ASK, TIERS)


@pytest.mark.parametrize(
    ("chosen", "chances", "score"),
    [("small", (1, 1, 1), 0), ("middle", (0, 1, 1), 1), ("large", (0, 0, 1), 1)],
)
def test_a_name_means_that_tier_and_all_stronger_ones(chosen, chances, score):
    found = assess(chosen)
    assert tuple(found.probabilities[tier.name] for tier in TIERS) == chances
    assert found.score == score
    assert found.name == "mine"


def test_chances_are_kept_and_their_ends_give_the_score():
    found = assess({"small": np.float32(0.25), "large": 0.75})
    assert found.probabilities == {"small": 0.25, "large": 0.75}
    assert found.score == 0.5
    assert type(found.probabilities["small"]) is float


def test_there_is_no_score_where_an_end_is_unknown():
    assert assess({"middle": 0.5}).score is None


def test_a_number_is_a_score_and_no_chance():
    found = assess(np.float64(-3.5))
    assert (found.score, found.probabilities) == (-3.5, {})


def test_an_assessment_passes_through():
    given = Assessment(name="other", score=0.1, out_of_domain=True)
    assert assess(given) is given


def test_the_function_sees_the_request_and_the_tiers():
    seen = []
    FunctionClassifier(lambda request, tiers: seen.append((request, tuple(tiers))) or 0.0).assess(ASK, TIERS)
    assert seen == [(ASK, TIERS)]


async def test_an_async_function_is_awaited_on_the_loop_and_waited_for_off_it():
    threads = []

    async def mine(request, tiers):
        threads.append(threading.current_thread())
        await asyncio.sleep(0)
        return "middle"

    classifier = FunctionClassifier(mine)
    assert classifier.name == "mine"
    assert isinstance(classifier, AsyncClassifier)
    by_loop = await classifier.aassess(ASK, TIERS)
    assert threads[-1] is threading.current_thread()
    assert classifier.assess(ASK, TIERS) == by_loop


async def test_a_sync_function_does_not_run_on_the_event_loop():
    threads = []
    classifier = FunctionClassifier(lambda *_: threads.append(threading.current_thread()) or 1)
    await classifier.aassess(ASK, TIERS)
    assert threads[0] is not threading.current_thread()


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "huge",
        {"huge": 0.5},
        {"small": 1.5},
        {"small": -0.1},
        {"small": "0.5"},
        {"small": float("nan")},
        float("inf"),
        float("nan"),
        [1, 2],
        {"small": None},
    ],
)
def test_anything_else_is_refused_by_name(wrong):
    with pytest.raises(ConfigurationError, match="mine"):
        assess(wrong)


def test_what_cannot_be_called_is_refused():
    with pytest.raises(ConfigurationError, match="'middle'"):
        FunctionClassifier("middle")
