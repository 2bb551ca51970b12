"""An answer is served while it is true, and makes room when it is worth least."""

from __future__ import annotations

import asyncio
import random
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.cache.facade.fakes import DictStore, NearPolicy, WordEmbedder
from tokenomics_core.cache import ResponseCache, StoreSize
from tokenomics_core.cache._life import Lifetimes, Room, Uses
from tokenomics_core.errors import ConfigurationError, StoreError
from tokenomics_core.types import Usage, attribution, current_attribution

Q, NEAR, OTHER = (
    "How do I reset my password?",
    "How do I reset my password please?",
    "Can an account be deleted?",
)


class TestTime:
    @pytest.mark.parametrize("question", [Q, NEAR])
    def test_an_answer_is_served_to_the_last_moment_of_its_time_however_often_it_is_read(
        self, made, question
    ):
        parts = made(ttl_s=10)
        parts.cache.put("p", Q, "Click reset.")
        for _ in range(9):
            parts.clock.forward(1.1)
            assert parts.cache.get("p", question).payload == "Click reset."
        parts.clock.forward(0.2)
        assert parts.cache.get("p", question) is None

    @given(
        st.none() | st.floats(1, 100),
        st.none() | st.floats(1, 100),
        st.dictionaries(st.sampled_from("ab"), st.floats(1, 100)),
        st.lists(st.sampled_from("abc"), unique=True),
    )
    def test_the_entrys_own_time_counts_before_its_tags_and_these_before_the_caches(
        self, own, general, by_tag, tags
    ):
        expires_at, stale_until = Lifetimes(general, by_tag, 0.0, 5.0, random.Random(0)).times(
            1e6, own, tuple(tags)
        )
        of_tags = [by_tag[tag] for tag in tags if tag in by_tag]
        lasts = own if own is not None else min(of_tags) if of_tags else general
        assert expires_at == (None if lasts is None else 1e6 + lasts)
        assert stale_until == (None if lasts is None else 1e6 + lasts + 5.0)

    @given(st.floats(0, 0.9), st.integers())
    def test_jitter_only_ever_shortens_and_by_no_more_than_its_share(self, jitter, seed):
        lifetimes = Lifetimes(100.0, None, jitter, None, random.Random(seed))
        ends = [lifetimes.times(0.0, None, ())[0] for _ in range(20)]
        assert all(100 * (1 - jitter) - 1e-9 <= end <= 100 for end in ends)
        assert jitter < 1e-6 or len(set(ends)) > 1

    def test_an_expired_answer_is_replaced(self, made):
        parts = made(ttl_s=10)
        parts.cache.put("p", Q, "old")
        parts.clock.forward(11)
        parts.cache.put("p", Q, "new")
        assert parts.cache.get("p", Q).payload == "new"


class TestStale:
    def test_one_caller_is_told_to_refresh_and_all_are_served(self, made):
        parts = made(ttl_s=10, stale_s=50)
        parts.cache.put("p", Q, "old")
        parts.clock.forward(11)
        hits = [parts.cache.get("p", Q) for _ in range(4)]
        assert [hit.payload for hit in hits] == ["old"] * 4
        assert all(hit.stale for hit in hits)
        assert [hit.refresh for hit in hits] == [True, False, False, False]
        parts.cache.put("p", Q, "new")
        hit = parts.cache.get("p", Q)
        assert (hit.payload, hit.stale) == ("new", False)
        assert parts.store.claims == {}
        assert parts.cache.stats().hits_stale == 4

    def test_somebody_else_is_asked_where_the_first_does_not_refresh(self, made):
        parts = made(ttl_s=10, stale_s=500)
        parts.cache.put("p", Q, "old")
        parts.clock.forward(11)
        assert parts.cache.get("p", Q).refresh
        parts.clock.forward(31)
        assert parts.cache.get("p", Q).refresh

    def test_beyond_its_last_time_it_is_a_miss(self, made):
        parts = made(ttl_s=10, stale_s=50)
        parts.cache.put("p", Q, "old")
        parts.clock.forward(61)
        assert parts.cache.get("p", Q) is None

    def test_a_stale_answer_is_served_to_no_other_question(self, made):
        parts = made(ttl_s=10, stale_s=50)
        parts.cache.put("p", Q, "old")
        parts.clock.forward(11)
        assert parts.cache.look_up("p", NEAR).reason == "expired"

    def test_fetching_serves_the_old_answer_and_computes_the_new_one_behind_it(self, made):
        parts = made(ttl_s=10, stale_s=50)
        parts.cache.put("p", Q, "old")
        parts.clock.forward(11)
        go_on, computed = threading.Event(), []

        def compute():
            assert go_on.wait(10)
            computed.append(1)
            return "new"

        assert parts.cache.fetch("p", Q, compute).payload == "old"
        assert parts.cache.fetch("p", Q, compute).payload == "old"
        go_on.set()
        parts.cache._work.wait(10)
        assert parts.cache.fetch("p", Q, compute).payload == "new"
        assert computed == [1]

    async def test_a_refresh_that_fails_leaves_the_old_answer(self, made):
        parts = made(ttl_s=10, stale_s=50)
        await parts.cache.aput("p", Q, "old")
        parts.clock.forward(11)

        async def compute():
            raise ConnectionError

        assert (await parts.cache.afetch("p", Q, compute)).payload == "old"
        await parts.cache._work.wait_async(10)
        assert (await parts.cache.aget("p", Q)).payload == "old"
        assert (await parts.cache.astats()).failures == {"refresh": 1}


class TestInvalidation:
    def filled(self, made):
        parts = made()
        cache = parts.cache
        cache.put("p", Q, "1", sources=["doc", "faq"], tags="a", model="m", tenant="ada", version="1")
        parts.clock.forward(10)
        cache.put("q", OTHER, "2", sources="faq", tags=["a", "b"], model="n", tenant="bob", version="2")
        return parts

    @pytest.mark.parametrize(
        ("condition", "left"),
        [
            ({"source": "doc"}, {"2"}),
            ({"source": "faq"}, set()),
            ({"source": ["doc", "none"]}, {"2"}),
            ({"tag": "b"}, {"1"}),
            ({"tag": "a"}, set()),
            ({"model": "m"}, {"2"}),
            ({"model": ["m", "n"]}, set()),
            ({"tenant": "bob"}, {"1"}),
            ({"partition": "p"}, {"2"}),
            ({"version": "2"}, {"1"}),
            ({"prefix": "how DO  i"}, {"2"}),
            ({"older_than": 5}, {"2"}),
            ({"older_than": timedelta(seconds=5)}, {"2"}),
            ({"older_than": datetime.fromtimestamp(1_000_005, UTC)}, {"2"}),
            ({"older_than": 50}, {"1", "2"}),
            ({"source": "faq", "tag": "b"}, {"1"}),
            ({"entry_id": "e0"}, {"2"}),
        ],
    )
    @pytest.mark.parametrize("is_async", [False, True])
    async def test_what_meets_every_condition_is_gone_at_once(self, made, condition, left, is_async):
        cache = self.filled(made).cache
        dropped = await cache.ainvalidate(**condition) if is_async else cache.invalidate(**condition)
        found = {hit.payload for hit in (cache.get("p", Q), cache.get("q", OTHER)) if hit}
        assert found == left
        assert dropped == 2 - len(left)
        assert cache.stats().invalidated == dropped

    def test_a_tenant_can_be_forgotten_and_all_cleared(self, made):
        cache = self.filled(made).cache
        assert cache.forget(tenant="ada") == 1
        assert cache.clear() == 1

    def test_a_change_told_twice_drops_what_came_between_only_once(self, made):
        cache = self.filled(made).cache
        assert cache.on_source_changed("doc", "v2") == 1
        cache.put("p", Q, "fresh", sources="doc")
        assert cache.on_source_changed("doc", "v2") == 0
        assert cache.get("p", Q).payload == "fresh"
        assert cache.on_source_changed("doc", "v3") == 1
        assert cache.on_source_changed("doc") == 0

    async def test_a_change_that_could_not_be_noted_is_told_again(self, made):
        parts = self.filled(made)
        parts.store.is_down = True
        with pytest.raises(StoreError):
            await parts.cache.aon_source_changed("doc", "v2")
        parts.store.is_down = False
        assert await parts.cache.aon_source_changed("doc", "v2") == 1

    def test_an_answer_computed_from_what_changed_meanwhile_is_not_stored(self, made):
        parts = made()
        cache = parts.cache
        for change, kept in (("doc", False), ("another", True)):

            def compute(change=change):
                cache.on_source_changed(change)
                return "from doc"

            assert cache.fetch("p", Q, compute, sources="doc").is_stored is kept
            assert ("put" in parts.store.calls) is kept
        assert cache.stats().refused == {"invalidated": 1}

    def test_who_asks_after_a_change_does_not_wait_for_a_call_from_before_it(self, made):
        cache = made().cache
        before = cache.begin("p", Q)
        assert before.leads
        cache.invalidate(source="doc")
        after = cache.begin("p", Q, wait_s=0.01)
        assert after.leads
        assert before.finish("old", sources="doc") is False
        assert after.finish("new", sources="doc") is True
        assert cache.get("p", Q).payload == "new"

    def test_a_store_that_cannot_drop_is_an_error_here(self, made):
        parts = self.filled(made)
        parts.store.is_down = True
        with pytest.raises(StoreError):
            parts.cache.invalidate(tag="a")

    def test_no_condition_or_a_wrong_one_drops_nothing(self, made):
        cache = self.filled(made).cache
        for wrong in ({}, {"older_than": -1}, {"older_than": True}, {"older_than": datetime(2026, 1, 1)}):
            with pytest.raises(ConfigurationError, match="nothing was dropped"):
                cache.invalidate(**wrong)
        assert cache.stats().entries == 2

    def test_listeners_are_told_what_happens_until_they_leave(self, made):
        cache = made().cache
        events = []
        leave = cache.subscribe(events.append)
        cache.get("p", Q)
        cache.put("p", Q, "1", sources="doc")
        cache.get("p", Q)
        cache.put("p", OTHER, " ")
        cache.on_source_changed("doc")
        leave()
        cache.get("p", Q)
        assert [(event.kind, event.reason) for event in events] == [
            ("miss", "nothing_near"),
            ("stored", None),
            ("hit", "exact"),
            ("refused", "empty"),
            ("invalidated", None),
        ]
        assert events[-1].selector.source == "doc"
        assert events[-1].entries == 1


class TestRoom:
    @pytest.mark.parametrize("most", [1, 2, 7, 200])
    def test_no_more_entries_are_kept_than_allowed_and_the_newest_stay(self, made, most):
        parts = made(max_entries=most)
        for index in range(3 * most + 5):
            parts.clock.forward(1)
            parts.cache.put("p", f"question {index}", str(index), how="exact")
            assert len(parts.store.by_id) <= most
        assert parts.cache.get("p", f"question {3 * most + 4}").payload == str(3 * most + 4)
        assert parts.cache.stats().evicted == 3 * most + 5 - len(parts.store.by_id)

    def test_no_more_bytes_are_kept_than_allowed(self, made):
        parts = made(max_bytes=10_000)
        for index in range(60):
            parts.clock.forward(1)
            parts.cache.put("p", f"question {index}", "x" * (100 * (index % 7)) or "-", how="exact")
            assert parts.store.size(parts.clock.now).bytes <= 10_000
        assert len(parts.store.by_id) > 5

    def test_what_is_larger_than_all_room_is_not_kept_and_costs_nobody_else_his_place(self, made):
        parts = made(max_bytes=10_000)
        parts.cache.put("p", Q, "small")
        assert not parts.cache.put("p", OTHER, "x" * 20_000)
        assert parts.cache.get("p", Q).payload == "small"
        assert parts.cache.stats().refused == {"too_large": 1}

    def test_what_was_read_stays_longer(self, made):
        parts = made(max_entries=3)
        for index in range(3):
            parts.clock.forward(1)
            parts.cache.put("p", f"question {index}", str(index), how="exact")
        parts.clock.forward(1)
        parts.cache.get("p", "question 0")
        parts.cache.put("p", "question 3", "3", how="exact")
        assert parts.cache.get("p", "question 0") is not None
        assert parts.cache.get("p", "question 1") is None

    def test_making_room_is_paid_by_few_puts(self, made):
        parts = made(max_entries=640)
        for index in range(2_000):
            parts.cache.put("p", f"question {index}", "a", how="exact")
        assert parts.store.calls.count("trim") < 2_000 / 8

    def test_entries_of_other_processes_are_counted_now_and_then(self):
        room = Room(100, None)
        assert room.grew(1)
        assert room.measured(StoreSize(10, 10)) is None
        assert sum(room.grew(1) for _ in range(90)) == 0
        assert room.grew(1)
        assert room.measured(StoreSize(101, 0)) == (99, None)

    def test_uses_are_counted_once_and_within_bounds(self):
        uses = Uses()
        for entry_id in ("a", "b", "a"):
            uses.add(entry_id)
        assert uses.take() == {"a": 2, "b": 1}
        assert uses.take() == {}


def test_a_closed_loop_is_not_woken(made):
    cache = made().cache
    turn = cache.begin("p", Q)
    loop = asyncio.new_event_loop()

    async def wait_a_moment():
        waiting = asyncio.ensure_future(cache.abegin("p", Q))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    loop.run_until_complete(wait_a_moment())
    loop.close()
    assert turn.finish("done")


def test_a_policy_is_asked_per_namespace():
    policy = NearPolicy()
    for name in ("one", "two"):
        ResponseCache(DictStore(), WordEmbedder(), policy, namespace=name).get("p", Q)
    assert [namespace for namespace, _ in policy.decided] == ["one", "two"]


@pytest.mark.parametrize("how", ["semantic", "exact"])
def test_what_was_looked_up_before_a_change_is_not_stored_after_it(made, how):
    cache = made().cache
    cache.get("p", Q, how=how)
    cache.invalidate(source="doc")
    assert not cache.put("p", Q, "as it was", how=how, sources="doc")
    assert cache.put("p", Q, "as it is", how=how, sources="doc")


def test_of_two_who_looked_up_the_one_from_before_a_change_stores_nothing(made):
    cache = made().cache
    cache.get("p", Q)
    cache.invalidate(source="doc")
    cache.get("p", Q)
    assert not cache.put("p", Q, "as it was", sources="doc")
    assert cache.get("p", Q) is None


def test_a_put_by_hand_takes_no_look_up_from_another(made):
    cache = made().cache
    cache.get("p", Q)
    assert cache.fetch("p", Q, lambda: "fresh", sources="doc").is_stored
    cache.invalidate(source="doc")
    assert not cache.put("p", Q, "as it was", sources="doc")


def test_with_the_clock_set_back_nothing_outlives_its_time(made):
    parts = made()
    parts.cache.put("p", Q, "for a minute", ttl_s=60)
    parts.cache.put("p", "another question", "for ever")
    parts.clock.forward(-30)
    assert parts.cache.get("p", Q).payload == "for a minute"
    parts.clock.forward(-3600)
    assert parts.cache.look_up("p", Q).reason == "expired"
    assert parts.cache.get("p", "another question").payload == "for ever"


def test_what_a_renewal_costs_is_attributed_to_who_set_it_off(made):
    parts = made(ttl_s=10, stale_s=10)
    parts.cache.fetch("p", Q, lambda: "old")
    parts.clock.forward(11)
    users = []
    with attribution(user="ada"):
        parts.cache.fetch("p", Q, lambda: users.append(current_attribution().user) or "new")
    parts.cache._work.wait(10)
    assert users == ["ada"]


async def test_warming_up_lets_others_have_the_event_loop(made):
    parts = made()
    lines = [{"question": f"question {number}", "answer": "yes"} for number in range(200)]
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    warmed = await parts.cache.awarm_up(lines, partition="p")
    counting.cancel()
    assert warmed.stored == 200
    assert turns >= 5


def test_a_renewal_avoids_nothing_for_the_call_is_made(made):
    parts = made(ttl_s=10, stale_s=100)
    usage = Usage(input_tokens=100, output_tokens=10)
    parts.cache.put("p", Q, "old", usage=usage)
    parts.cache.get("p", Q)
    assert parts.cache.stats().avoided_input_tokens == 100
    parts.clock.forward(11)
    assert parts.cache.get("p", Q).refresh
    assert parts.cache.stats().avoided_input_tokens == 100
    assert not parts.cache.get("p", Q).refresh
    assert parts.cache.stats().avoided_input_tokens == 200
