"""Every classifier serves a router, and what it costs is the route's."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tokenomics_core.routing import DifficultyClassifier, Router, RouteRequest, Tier
from tokenomics_core.routing.classifiers import (
    AsyncClassifier,
    Classifier,
    FunctionClassifier,
    HeuristicClassifier,
    LLMClassifier,
    LLMReply,
    SemanticRoutes,
    TaskTable,
)

TIERS = (
    Tier(name="weak", model="w", price=(1, 2), quality=0.6),
    Tier(name="strong", model="s", price=(10, 20), quality=0.9),
)
REQUEST = RouteRequest(question="Prove that there are infinitely many primes.", task="proof")


def reply(prompt):
    return LLMReply(text='{"weak": 20, "strong": 90}', cost_usd=Decimal("0.003"))


CLASSIFIERS = [
    DifficultyClassifier.pretrained(),
    FunctionClassifier(lambda request, tiers: "strong", name="function"),
    HeuristicClassifier(),
    LLMClassifier(reply),
    SemanticRoutes({"weak": ["hello", "thanks"], "strong": ["prove this theorem", "derive the formula"]}),
    TaskTable().fit(["proof", "chat"], {"weak": [0, 1], "strong": [1, 1]}),
]


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda one: one.name)
async def test_a_router_decides_with_it_in_sync_and_async_alike(classifier):
    assert isinstance(classifier, Classifier)
    router = Router(TIERS, classifier=classifier)
    first, second = router.decide(REQUEST), await router.adecide(REQUEST)
    assert first.classifier == second.classifier == classifier.name
    assert (first.tier, first.probabilities) == (second.tier, second.probabilities)
    assert not any("fail" in reason for reason in first.reasons), first.reasons


def test_what_asking_costs_is_in_the_route():
    router = Router(TIERS, classifier=LLMClassifier(reply))
    assert router.decide(REQUEST).router_usd == Decimal("0.003")


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda one: one.name)
def test_those_that_may_wait_have_an_async_twin(classifier):
    waits = isinstance(classifier, (FunctionClassifier, LLMClassifier, SemanticRoutes, TaskTable))
    assert isinstance(classifier, AsyncClassifier) == waits


def test_a_model_that_cannot_be_reached_falls_open():
    def fail(prompt):
        raise TimeoutError("no answer")

    route = Router(TIERS, classifier=LLMClassifier(fail), safe_tier="strong").decide(REQUEST)
    assert route.tier.name == "strong"
    assert any("no answer" in reason or "Timeout" in reason for reason in route.reasons)
