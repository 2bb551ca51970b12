"""Attribution nests by merging and follows tasks and threads."""

import asyncio
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import Attribution, ConfigurationError, attribution, current_attribution, in_context

names = st.one_of(st.none(), st.sampled_from(["ada", "bob"]))
attributions = st.builds(
    Attribution,
    user=names,
    feature=names,
    project=names,
    conversation=names,
    run=names,
    tags=st.dictionaries(st.sampled_from(["team", "user_tier"]), st.sampled_from(["red", "blue"])),
)


@given(attributions, attributions, attributions)
def test_merging_is_associative_and_the_inner_value_wins(a, b, c):
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(Attribution()) == a == Attribution().merge(a)
    for dimension in ("user", "feature", "project", "conversation", "run", "team", "user_tier"):
        inner = b.get(dimension)
        assert a.merge(b).get(dimension) == (a.get(dimension) if inner is None else inner)


@given(attributions)
def test_an_attribution_survives_its_dict_and_a_pickle(who):
    assert Attribution(**who.to_dict()) == who
    assert pickle.loads(pickle.dumps(who)) == who


def test_blocks_nest_and_leave_nothing_behind():
    with attribution(user="ada", user_tier="power"), attribution(feature="search", tags={"team": "red"}):
        assert current_attribution() == Attribution(
            user="ada", feature="search", tags={"user_tier": "power", "team": "red"}
        )
    assert current_attribution() == Attribution()


def test_a_block_ends_when_an_error_leaves_it():
    with pytest.raises(RuntimeError), attribution(user="ada"):
        raise RuntimeError
    assert current_attribution().user is None


async def test_tasks_keep_their_own_attribution():
    async def work(user):
        with attribution(user=user):
            await asyncio.sleep(0)
            return current_attribution().user

    users = [f"user-{i}" for i in range(20)]
    assert await asyncio.gather(*map(work, users)) == users


def test_a_bare_thread_sees_it_only_through_in_context():
    def who():
        return current_attribution().user

    with attribution(user="ada"), ThreadPoolExecutor(4) as pool:
        assert pool.submit(who).result() is None
        bound = in_context(who)
        assert list(pool.map(lambda _: bound(), range(8))) == ["ada"] * 8


def test_a_block_that_is_left_in_another_context_still_ends():
    def generator():
        with attribution(user="ada"):
            yield

    opened = generator()
    ThreadPoolExecutor(1).submit(next, opened).result()
    opened.close()
    assert current_attribution() == Attribution()


def test_values_that_are_no_strings_are_refused():
    with pytest.raises(ConfigurationError, match="user must be a string, not 7"):
        Attribution(user=7)
    with pytest.raises(ConfigurationError, match="tags must map strings to strings"):
        Attribution(tags={"tier": 1})


def test_tags_that_are_no_mapping_are_refused():
    with pytest.raises(ConfigurationError, match="tags must map strings to strings, not 5"):
        Attribution(tags=5)
