"""A usage keeps one convention and never turns the unknown into zero."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import ConfigurationError, Usage

counts = st.one_of(st.none(), st.integers(0, 10**7))


@given(
    st.builds(
        Usage,
        input_tokens=counts,
        output_tokens=counts,
        cache_read_tokens=counts,
        cache_write_5m_tokens=counts,
        cache_write_1h_tokens=counts,
        reasoning_tokens=counts,
        service_tier=st.sampled_from([None, "flex", "priority"]),
        batch=st.booleans(),
        extras=st.dictionaries(st.sampled_from(["web_searches", "audio_seconds"]), st.integers(0, 9)),
        estimated=st.booleans(),
    )
)
def test_a_usage_survives_its_dict_a_pickle_and_a_copy(usage):
    assert Usage.from_dict(usage.to_dict()) == usage
    assert pickle.loads(pickle.dumps(usage)) == usage
    assert copy.deepcopy(usage) == usage


def test_writes_by_lifetime_add_up_to_all_writes():
    assert Usage(cache_write_5m_tokens=100, cache_write_1h_tokens=20).cache_write_tokens == 120
    assert Usage(cache_write_tokens=150, cache_write_1h_tokens=20).cache_write_tokens == 150


def test_what_nobody_reported_stays_none():
    usage = Usage()
    assert usage.input_tokens is usage.output_tokens is usage.total_tokens is usage.cache_read_tokens is None
    assert not usage.is_reported
    assert Usage(input_tokens=0).is_reported
    assert Usage(input_tokens=5).total_tokens == 5


def test_a_usage_does_not_follow_later_changes_of_what_it_was_made_from():
    extras = {"web_searches": 1}
    usage = Usage(input_tokens=1, extras=extras)
    extras["web_searches"] = 9
    assert usage.extras == {"web_searches": 1}


@pytest.mark.parametrize("bad", [-1, 1.5, "7", True])
def test_a_count_that_is_no_whole_number_is_refused(bad):
    with pytest.raises(ConfigurationError, match="output_tokens must be a whole number of 0 or more"):
        Usage(output_tokens=bad)


def test_writes_that_are_less_than_their_parts_are_refused():
    with pytest.raises(ConfigurationError, match="cache_write_tokens=5 is less than its parts"):
        Usage(cache_write_tokens=5, cache_write_5m_tokens=6)


def test_a_name_that_a_usage_does_not_have_is_refused():
    with pytest.raises(ConfigurationError, match="prompt_tokens"):
        Usage.from_dict({"prompt_tokens": 3})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("extras", 5, "extras must be a mapping, not 5"),
        ("context", ["x"], r"context must be a mapping, not \['x'\]"),
        ("service_tier", 5, "service_tier must be a name or None, not 5"),
    ],
)
def test_a_field_of_a_wrong_type_is_refused_with_its_name(field, value, message):
    with pytest.raises(ConfigurationError, match=message):
        Usage(**{field: value})


def test_what_is_no_mapping_is_no_usage():
    with pytest.raises(ConfigurationError, match="read from a mapping, not from 5"):
        Usage.from_dict(5)
