"""Questions go where the examples they resemble go; what resembles none is not guessed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import ConfigurationError
from tokenomics_core.embedding import FunctionEmbedder
from tokenomics_core.routing import RouteRequest, Tier
from tokenomics_core.routing.classifiers import AsyncClassifier, SemanticRoutes

TIERS = tuple(Tier(name=name, model=name) for name in ("small", "middle", "large"))
EXAMPLES = {
    "small": ["hello there", "good morning to you", "thanks a lot", "what time is it now", "tell me a joke"],
    "large": [
        "prove that the square root of two is irrational",
        "prove that there are infinitely many primes",
        "derive the variance of the sample mean",
        "show that this integral converges",
        "derive the gradient of the logistic loss",
    ],
}


def by_angle(text):
    """Embed "12" as the unit vector at 12 degrees."""
    return [math.cos(math.radians(float(text))), math.sin(math.radians(float(text)))]


def angles(texts):
    return [by_angle(text) for text in texts]


ANGLES = FunctionEmbedder(angles, identity="angle-1", dimension=2)


def asked(question):
    return RouteRequest(question=question)


def test_the_built_in_embedder_tells_greetings_from_proofs():
    routes = SemanticRoutes(EXAMPLES)
    proof = routes.assess(asked("prove that the square root of three is irrational"), TIERS)
    greeting = routes.assess(asked("good morning, hello"), TIERS)
    assert proof.score > 0.8 > 0.2 > greeting.score
    assert "square root of two" in proof.reasons[0]
    assert proof.cost_usd == 0


def test_a_question_unlike_every_example_gets_no_chance():
    found = SemanticRoutes(EXAMPLES, least_similarity=0.2).assess(
        asked("quarterly zinc futures in Rotterdam"), TIERS
    )
    assert (found.probabilities, found.score, found.out_of_domain) == ({}, None, True)
    assert "like no example" in found.reasons[0]


@given(st.floats(0, 90))
def test_chances_are_the_votes_of_the_tier_and_all_weaker_ones(angle):
    examples = {"small": ["0", "10"], "middle": ["40", "50"], "large": ["80", "90", "85"]}
    routes = SemanticRoutes(examples, ANGLES, least_similarity=-1.0)
    found = routes.assess(asked(str(angle)), TIERS)
    temperature = routes._ready().temperature
    loud = {
        tier: np.mean([math.exp(math.cos(math.radians(angle - float(text))) / temperature) for text in texts])
        for tier, texts in examples.items()
    }
    votes = {tier: value / sum(loud.values()) for tier, value in loud.items()}
    expected = np.cumsum([votes[tier.name] for tier in TIERS])
    assert [found.probabilities[tier.name] for tier in TIERS] == pytest.approx(expected.tolist(), abs=1e-4)
    assert found.score == pytest.approx(1 - votes["small"], abs=1e-4)


def test_a_tier_without_examples_serves_what_weaker_ones_are_meant_for():
    routes = SemanticRoutes({"small": ["0", "5"], "large": ["90", "85"]}, ANGLES, least_similarity=-1)
    found = routes.assess(asked("1"), TIERS).probabilities
    assert found["middle"] == found["small"] > 0.9


def test_clear_examples_are_followed_closely_and_mixed_ones_are_not():
    clear = SemanticRoutes(
        {"small": ["0", "5", "9"], "large": ["90", "85", "80"]}, ANGLES, least_similarity=-1
    )
    mixed = SemanticRoutes(
        {"small": ["0", "40", "60"], "large": ["2", "42", "63"]}, ANGLES, least_similarity=-1
    )
    assert clear._ready().temperature < mixed._ready().temperature
    assert abs(mixed.assess(asked("0"), TIERS).score - 0.5) < 0.2


def test_the_bound_of_the_domain_comes_from_the_examples_unless_it_is_given():
    angles_given = {"small": [str(angle) for angle in range(0, 42, 2)], "large": ["80", "84"]}
    learned = SemanticRoutes(angles_given, ANGLES)
    assert math.cos(math.radians(4)) <= learned.least_similarity_ <= math.cos(math.radians(2))
    assert learned.assess(asked("60"), TIERS).out_of_domain
    assert (
        not SemanticRoutes(angles_given, ANGLES, least_similarity=0.5)
        .assess(asked("60"), TIERS)
        .out_of_domain
    )


def test_one_example_each_is_enough_to_start():
    routes = SemanticRoutes({"small": ["0"], "large": ["90"]}, ANGLES)
    assert routes.assess(asked("5"), TIERS).score < 0.5 < routes.assess(asked("80"), TIERS).score
    assert 0.05 < routes.assess(asked("40"), TIERS).score < 0.5


async def test_async_callers_get_the_same_and_only_the_async_embedding_is_used():
    sync_calls = []

    def embed(texts):
        sync_calls.append(texts)
        return angles(texts)

    async def aembed(texts):
        return angles(texts)

    embedder = FunctionEmbedder(embed, identity="angle-1", dimension=2, afunction=aembed)
    routes = SemanticRoutes({"small": ["0", "9"], "large": ["90", "80"]}, embedder)
    assert isinstance(routes, AsyncClassifier)
    found = await routes.aassess(asked("4"), TIERS)
    assert sync_calls == []
    assert found == routes.assess(asked("4"), TIERS)


def test_examples_are_embedded_once_and_not_by_the_constructor():
    calls = []
    embedder = FunctionEmbedder(lambda t: calls.append(len(t)) or angles(t), identity="angle-1", dimension=2)
    routes = SemanticRoutes({"small": ["0", "9"], "large": ["90"]}, embedder)
    assert calls == []
    for _ in range(2):
        routes.assess(asked("4"), TIERS)
    assert calls == [3, 1, 1]


@pytest.mark.parametrize(
    ("examples", "problem"),
    [
        ({}, "no examples"),
        ({"small": []}, "'small'"),
        ({"small": "hello"}, "'hello'"),
        ({"small": [" "]}, "' '"),
        ({"small": [3]}, "3"),
        ({"small": ["hi"], "large": ["hi"]}, "both 'small' and 'large'"),
    ],
)
def test_examples_that_say_nothing_are_refused(examples, problem):
    with pytest.raises(ConfigurationError, match=problem):
        SemanticRoutes(examples)


@pytest.mark.parametrize("bound", [-1.1, 1.1, math.nan])
def test_a_bound_that_is_no_cosine_is_refused(bound):
    with pytest.raises(ConfigurationError, match="least_similarity"):
        SemanticRoutes(EXAMPLES, least_similarity=bound)


def test_examples_for_a_tier_that_is_not_there_are_named():
    with pytest.raises(ConfigurationError, match="'huge'"):
        SemanticRoutes({"huge": ["1"], "small": ["2"]}, ANGLES).assess(asked("1"), TIERS)
