"""A hold-out leaves the same share alone, always and everywhere."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import Attribution, ConfigurationError, attribution
from tokenomics_core.cache import ResponseCache
from tokenomics_core.routing import ABTest, Router, RouteRequest, Tier
from tokenomics_core.types import HoldOut

HELD = HoldOut(share=0.5, by=("user",))
ALONE = next(name for name in map(str, range(99)) if HELD.left_alone(name))
TREATED = next(name for name in map(str, range(99)) if not HELD.left_alone(name))


@given(share=st.floats(0, 1), salt=st.text(max_size=5))
def test_the_share_of_many_keys_is_left_alone(share, salt):
    held = HoldOut(share=share, salt=salt)
    found = sum(held.left_alone(f"conversation-{number}") for number in range(2_000)) / 2_000
    assert abs(found - share) < 0.06


@given(key=st.text(), smaller=st.floats(0, 1), larger=st.floats(0, 1))
def test_a_larger_share_leaves_alone_whoever_a_smaller_one_does(key, smaller, larger):
    smaller, larger = sorted((smaller, larger))
    assert HoldOut(share=larger).left_alone(key) or not HoldOut(share=smaller).left_alone(key)


@given(key=st.text())
def test_nobody_and_everybody(key):
    assert not HoldOut(share=0).left_alone(key)
    assert HoldOut(share=1).left_alone(key)


@given(salt=st.text(max_size=5), key=st.text(max_size=20))
def test_the_split_is_the_same_on_every_machine(salt, key):
    salted = f"{salt}\0{key}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(salted, digest_size=8).hexdigest()
    assert HoldOut(share=0.3, salt=salt).left_alone(key) is (int(digest, 16) / 2**64 < 0.3)


def test_the_conversation_decides_before_the_user():
    held = HoldOut(share=0.5)
    who = Attribution(conversation="c", user="u")
    assert held.key_of(who) == "c"
    assert held.key_of(Attribution(user="u")) == "u"
    assert held.key_of(Attribution()) is None
    assert not HoldOut(share=1).leaves_alone(Attribution())


def test_the_attribution_in_force_decides():
    with attribution(user=ALONE):
        assert HELD.leaves_alone()
    with attribution(user=TREATED):
        assert not HELD.leaves_alone()


# -- what takes one


def test_a_cache_serves_nothing_to_who_is_left_alone_and_keeps_nothing_of_theirs():
    cache = ResponseCache(hold_out=HELD)
    with attribution(user=ALONE):
        assert not cache.put("p", "What is a list?", "theirs")
    with attribution(user=TREATED):
        assert cache.get("p", "What is a list?") is None
        cache.put("p", "What is a list?", "an answer")
        assert cache.get("p", "What is a list?").payload == "an answer"
    with attribution(user=ALONE):
        assert cache.get("p", "What is a list?") is None
        fetched = cache.fetch("p", "What is a list?", lambda: "anew")
    assert (fetched.payload, fetched.is_stored) == ("anew", False)
    cache.close()


async def test_a_cache_does_the_same_in_a_loop():
    cache = ResponseCache(hold_out=HELD)
    with attribution(user=TREATED):
        await cache.aput("p", "What is a list?", "an answer")
        assert (await cache.aget("p", "What is a list?")).payload == "an answer"
    with attribution(user=ALONE):
        assert await cache.aget("p", "What is a list?") is None
        fetched = await cache.afetch("p", "What is a list?", lambda: "anew")
    assert (fetched.payload, fetched.is_stored) == ("anew", False)
    await cache.aclose()


def test_a_router_sends_who_is_left_alone_to_the_safe_tier():
    tiers = [
        Tier(name="weak", model="gpt-4o-mini", quality=0.9),
        Tier(name="strong", model="gpt-4o", quality=0.95),
    ]
    router = Router(tiers, holdout=HELD)
    for user, arm in ((ALONE, "holdout"), (TREATED, "treatment")):
        with attribution(user=user):
            assert router.decide("What is a list?").arm == arm
    assert router.decide("What is a list?").arm == "treatment"


def test_a_conversation_named_in_the_request_decides_for_a_router():
    held = HoldOut(share=0.5)
    test = ABTest(hold_out=held)
    for number in range(20):
        request = RouteRequest(question="What?", conversation=str(number))
        assert (test.arm(request) == "holdout") is held.left_alone(str(number))


# -- refusals


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": 1.5}, "share must be in \\[0, 1\\], not 1.5"),
        ({"share": True}, "share must be in"),
        ({"salt": 3}, "salt must be a string, not 3"),
        ({"by": ()}, "by must be names"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        HoldOut(**settings)


def test_two_hold_outs_at_once_are_refused():
    with pytest.raises(ConfigurationError, match="not both"):
        ABTest(holdout=0.1, hold_out=HELD)
