"""A context that fills up is noticed early and made room in at once."""

import pytest

from tokenomics_core.compression import ContextGuard
from tokenomics_core.errors import ConfigurationError


def talk(turns):
    """Talk in turns of ten tokens."""
    return [{"role": "user", "content": f"turn {index}"} for index in range(turns)]


def tens(messages):
    """Count ten tokens a message."""
    return 10 * len(messages)


def test_it_warns_then_compresses_well_below_the_mark():
    told = []
    guard = ContextGuard(1_000, count=tens, on_warn=told.append)
    assert guard.check(talk(49)).action == "none"
    assert guard.check(talk(50)).action == "warn"
    assert guard.check(talk(75)).action == "compress"
    assert [state.share for state in told] == [0.5, 0.75]
    calm = guard.apply(talk(74))
    assert len(calm.messages) == 74
    assert calm.tokens_before == calm.tokens_after == 740
    short = guard.apply(talk(75), "turn 3?", by_meaning=False, notes=False)
    assert short.tokens_after == 400
    assert {"role": "user", "content": "turn 3"} in short.messages


async def test_the_async_twin_does_the_same():
    guard = ContextGuard(1_000, count=tens)
    assert await guard.aapply(talk(90)) == guard.apply(talk(90))
    assert await guard.aapply(talk(3)) == guard.apply(talk(3))


def test_tokens_of_tools_count():
    tool = {"name": "look", "description": "Looks. " * 100, "parameters": {}}
    assert ContextGuard(250).check(talk(2)).action == "none"
    assert ContextGuard(250, tools=[tool]).check(talk(2)).action == "compress"


@pytest.mark.parametrize(
    "settings",
    [
        {"window_tokens": 0},
        {"window_tokens": 10, "warn_at": 0.9},
        {"window_tokens": 10, "compress_at": 1.5},
        {"window_tokens": 10, "compress_to": 0.8},
    ],
)
def test_what_cannot_be_is_refused(settings):
    with pytest.raises(ConfigurationError, match=r"must be"):
        ContextGuard(**settings)
