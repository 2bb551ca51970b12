"""What was paid for is served again where it is right, and nothing that fails inside reaches the caller."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.cache.facade.fakes import Clock, DictStore, NearPolicy, WordEmbedder
from tokenomics_core.cache import Answer, AnswerComparer, ResponseCache
from tokenomics_core.cache.content_guards import guard
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.types import Cost, Usage

RESET, RESET_TOO, DELETE = (
    "How do I reset my password?",
    "How do I reset my password please?",
    "Can somebody delete an account?",
)


@given(st.text(st.characters(), max_size=60), st.text(st.characters(), max_size=20), st.binary() | st.text())
@settings(deadline=None)
def test_the_same_text_always_finds_its_answer_as_it_was_given(question, partition, payload):
    cache = ResponseCache(DictStore(), WordEmbedder(), NearPolicy(), guards=())
    assert cache.put(partition, question, payload)
    hit = cache.get(partition, question)
    assert (hit.payload, hit.kind, hit.probability) == (payload, "exact", 1.0)
    assert type(hit.payload) is type(payload)


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["get", "put", "put stale", "look_up", "fetch", "invalidate", "forward", "stats"]),
        st.sampled_from([RESET, RESET_TOO, DELETE, "What is new today?", "x" * 300]),
        st.sampled_from(["A long enough answer with 8 words in it.", "I'm sorry, but I can't help.", "b"]),
    ),
    max_size=15,
)


def told(result):
    """Return what of a result does not depend on where it was made."""
    if hasattr(result, "hits_exact"):
        return str(result)
    hit = getattr(result, "hit", result)
    return (
        getattr(result, "reason", None),
        getattr(result, "guard", None),
        getattr(result, "payload", None),
        None
        if hit is None or hit is True or isinstance(hit, bool | int)
        else (hit.kind, hit.probability, hit.stale),
        result if isinstance(result, bool | int) else None,
    )


@given(MOVES)
@settings(max_examples=60, deadline=None)
def test_sync_and_async_callers_get_the_same_decisions(moves):
    def play(cache, clock, call):
        results = []
        for move, question, answer in moves:
            if move == "forward":
                clock.forward(7)
            elif move in {"get", "look_up"}:
                results.append(told(call(cache, move, "p", question)))
            elif move.startswith("put"):
                results.append(told(call(cache, "put", "p", question, answer, ttl_s=10, tags="t")))
            elif move == "fetch":
                results.append(told(call(cache, "fetch", "p", question, lambda answer=answer: answer)))
            elif move == "invalidate":
                results.append(told(call(cache, "invalidate", tag="t")))
            else:
                results.append(told(call(cache, "stats")))
        return results

    def made(clock):
        parts = DictStore(), WordEmbedder(max_chars=200), NearPolicy(0.8)
        ids = iter(range(10_000))
        return ResponseCache(*parts, clock=clock, stale_s=5, new_id=lambda: f"e{next(ids)}"), parts

    clock = Clock()
    cache, (_, _, policy) = made(clock)

    def call(cache, name, *args, **named):
        result = getattr(cache, name)(*args, **named)
        cache._work.wait(5)  # a refresh in the background ends at another time in each
        return result

    in_sync = play(cache, clock, call)
    cache.close()

    clock = Clock()
    acache, (_, _, apolicy) = made(clock)
    with asyncio.Runner() as runner:

        def acall(cache, name, *args, **named):
            async def go():
                result = await getattr(cache, f"a{name}")(*args, **named)
                await cache._work.wait_async(5)
                return result

            return runner.run(go())

        in_async = play(acache, clock, acall)
        runner.run(acache.aclose())
    assert in_sync == in_async
    assert policy.decided == apolicy.decided
    assert policy.learned == apolicy.learned


class TestLookingUp:
    def test_another_text_of_the_same_meaning_is_served_with_its_probability(self, made):
        parts = made()
        parts.cache.put("p", RESET, "Click reset.")
        parts.clock.forward(3)
        hit = parts.cache.get("p", RESET_TOO)
        assert (hit.payload, hit.kind, hit.question, hit.age_s) == ("Click reset.", "semantic", RESET, 3)
        assert 0.9 <= hit.probability < 1

    def test_a_miss_says_why(self, made):
        parts = made()
        assert parts.cache.look_up("p", RESET).reason == "nothing_near"
        parts.cache.put("p", RESET, "Click reset.")
        assert parts.cache.look_up("p", DELETE).reason == "unsure"
        assert parts.cache.look_up("p", DELETE, how="exact").reason == "exact_only"
        assert parts.cache.look_up("p", RESET, how="never").reason == "never_served"
        assert parts.cache.look_up("p", RESET).hit.payload == "Click reset."

    def test_the_exact_tier_asks_no_embedder_and_counts_for_the_policy(self, made):
        parts = made()
        parts.cache.put("p", RESET, "Click reset.", how="exact")
        assert parts.cache.get("p", RESET).kind == "exact"
        assert parts.embedder.texts == []
        assert parts.policy.exact == 1
        assert parts.policy.decided == []

    def test_what_the_embedder_would_not_see_whole_is_served_exactly_only(self, made):
        parts = made(embedder=WordEmbedder(max_chars=40))
        long = RESET_TOO + " " * 3 + "and a lot more than it can read"
        parts.cache.put("p", RESET, "Click reset.")
        assert parts.cache.look_up("p", long).reason == "too_long"
        parts.cache.put("p", long, "Read on.")
        assert parts.cache.get("p", long).payload == "Read on."
        assert all(len(text) <= 40 for text in parts.embedder.texts)

    def test_what_was_stored_exactly_is_not_found_by_meaning(self, made):
        parts = made()
        parts.cache.put("p", RESET, "Click reset.", how="exact")
        assert parts.cache.look_up("p", RESET_TOO).reason == "nothing_near"

    def test_a_version_finds_its_own_only(self, made):
        parts = made()
        parts.cache.put("p", RESET, "Click reset.", version="1")
        assert parts.cache.look_up("p", RESET, version="2", how="exact").reason == "version"
        assert parts.cache.get("p", RESET_TOO, version="2") is None
        assert parts.cache.get("p", RESET_TOO, version="1").payload == "Click reset."
        assert parts.cache.get("p", RESET).payload == "Click reset."

    def test_reads_write_nothing(self, made):
        parts = made()
        parts.cache.put("p", RESET, "Click reset.")
        parts.store.calls.clear()
        for _ in range(50):
            parts.cache.get("p", RESET)
            parts.cache.get("p", RESET_TOO)
            parts.cache.get("p", DELETE)
            parts.cache.explain("p", RESET)
        assert set(parts.store.calls) <= {"find", "search", "read"}

    def test_one_miss_and_its_put_embed_once(self, made):
        parts = made()
        parts.cache.get("p", RESET)
        parts.cache.put("p", RESET, "Click reset.")
        assert parts.embedder.texts == [RESET]


class TestLearning:
    @pytest.mark.parametrize("hand_in", [True, False])
    def test_a_fresh_answer_teaches_the_policy_whether_the_near_one_was_right(self, made, hand_in):
        parts = made(policy=NearPolicy(0.99))
        cache = parts.cache
        cache.put("p", RESET, "Click reset.")
        near = next(iter(parts.store.by_id.values()))[0].group
        for question, answer, right in (
            (RESET_TOO, "click **reset**", True),
            (DELETE, "Click delete.", False),
        ):
            lookup = cache.look_up("p", question)
            cache.put("p", question, answer, lookup=lookup if hand_in else None)
            same, given = parts.policy.learned[-1]
            assert same[near] is right
            assert given is False
        groups = {entry.question: entry.group for entry, _ in parts.store.by_id.values()}
        assert groups[RESET_TOO] == near
        assert groups[DELETE] != near

    def test_a_put_without_a_look_up_teaches_nothing_and_still_groups_equal_answers(self, made):
        parts = made()
        parts.cache.put("p", RESET, "Click reset.")
        parts.cache.put("p", DELETE, "click reset")
        assert parts.policy.learned == []
        assert len({entry.group for entry, _ in parts.store.by_id.values()}) == 1

    def test_one_look_up_teaches_once(self, made):
        parts = made()
        parts.cache.put("p", DELETE, "Click delete.")
        parts.cache.get("p", RESET)
        parts.cache.put("p", RESET, "Click reset.")
        parts.cache.put("p", RESET, "Click reset again.")
        assert len(parts.policy.learned) == 1

    def test_a_judge_is_asked_what_words_and_meaning_leave_open(self, made):
        long = "You can reset your password in the settings of your account under the tab named security"
        other = "Go to security in your settings, and there the password can be set anew by you in a minute"
        asked = []

        def judge(one, two):
            asked.append((one, two))
            return True

        parts = made(comparer=AnswerComparer(same_above=None, different_below=None, judge=judge))
        parts.cache.put("p", DELETE, long)
        parts.cache.get("p", RESET)
        parts.cache.put("p", RESET, other)
        assert asked == [(other, long)]
        assert list(parts.policy.learned[-1][0].values()) == [True]

    def test_answers_that_nobody_can_read_are_not_compared(self, made):
        parts = made()
        parts.cache.put("p", RESET, b"\x00\x01")
        parts.cache.get("p", DELETE)
        parts.cache.put("p", DELETE, b"\x00\x01")
        assert parts.policy.learned == []
        assert len({entry.group for entry, _ in parts.store.by_id.values()}) == 2

    def test_what_was_learned_outlives_the_cache(self, made):
        store = DictStore()
        parts = made(store=store)
        parts.cache.put("p", RESET, "Click reset.")
        parts.cache.get("p", DELETE)
        parts.cache.put("p", DELETE, "Click delete.")
        parts.cache.close()
        again = made(store=store)
        assert again.policy.restored == [b'{"labels": 1}']
        assert made(store=store, namespace="other").policy.restored == []


class TestFeedback:
    def test_a_wrong_answer_to_the_same_text_is_dropped(self, made):
        parts = made()
        parts.cache.put("p", RESET, "Click delete.")
        parts.cache.feedback(parts.cache.get("p", RESET), correct=False)
        assert parts.cache.get("p", RESET) is None
        assert parts.cache.stats().wrong_reported == 1

    def test_a_wrong_answer_to_another_question_is_learned_from_and_not_served_to_it_again(self, made):
        parts = made()
        parts.cache.put("p", RESET, "Click reset.")
        hit = parts.cache.get("p", RESET_TOO)
        parts.cache.feedback(hit, correct=False)
        assert parts.policy.learned == [({hit.group: False}, True)]
        assert parts.cache.look_up("p", RESET_TOO).reason == "disproved"
        assert parts.cache.get("p", RESET).payload == "Click reset."

    async def test_praise_is_learned_from(self, made):
        parts = made()
        parts.cache.put("p", RESET, "Click reset.")
        hit = await parts.cache.aget("p", RESET_TOO)
        await parts.cache.afeedback(hit, True)
        assert parts.policy.learned == [({hit.group: True}, True)]
        assert (await parts.cache.aget("p", RESET_TOO)).payload == "Click reset."


class TestGuards:
    @pytest.mark.parametrize(
        ("name", "answer"),
        [
            ("error", {"payload": "500", "is_error": True}),
            ("truncated", {"payload": "It begins", "finish_reason": "LENGTH"}),
            ("empty", {"payload": " "}),
            ("refusal", {"payload": "I'm sorry, but I can't help with that."}),
            ("tool_calls", {"payload": "{}", "has_tool_calls": True}),
            ("personal_data", {"payload": "Write to ada@mail.net."}),
        ],
    )
    def test_what_a_guard_objects_to_is_not_stored(self, made, name, answer):
        cache = made().cache
        payload = answer.pop("payload")
        assert not cache.put("p", RESET, payload, **answer)
        assert cache.get("p", RESET) is None
        assert cache.stats().refused == {name: 1}
        assert cache.stats().guards == {name: 1}

    def test_a_question_for_what_is_true_only_now_is_neither_looked_up_nor_stored(self, made):
        parts = made()
        lookup = parts.cache.look_up("p", "What is the weather today?")
        assert (lookup.reason, lookup.guard) == ("guard", "time_dependent")
        assert not parts.cache.put("p", "What is the weather today?", "Rain.")
        assert "find" not in parts.store.calls

    def test_a_guard_that_came_later_keeps_old_entries_from_being_served(self, made):
        parts = made(guards=())
        parts.cache.put("p", RESET, "Ask Eve.")
        later = made(
            store=parts.store, guards=[guard("eve", lambda content: "Eve" in (content.answer or ""))]
        )
        assert later.cache.look_up("p", RESET, how="exact").guard == "eve"
        assert later.cache.look_up("p", RESET_TOO).guard == "eve"
        assert later.cache.stats().guards == {"eve": 2}

    def test_a_guard_that_fails_objects_and_is_counted(self, made):
        def broken(content):
            raise RuntimeError("no idea")

        parts = made(guards=[guard("broken", broken)])
        assert not parts.cache.put("p", RESET, "Click reset.")
        assert parts.cache.stats().failures == {"guard broken": 1}

    def test_a_judges_score_can_be_told(self, made):
        from tokenomics_core.cache.content_guards import JudgedBelow

        cache = made(guards=[JudgedBelow(0.5)]).cache
        assert not cache.put("p", RESET, "Maybe.", judge_score=0.2)
        assert cache.put("p", RESET, "Click reset.", judge_score=0.9)


class TestFailures:
    def test_a_store_that_fails_is_a_miss_told_once_and_the_call_goes_on(self, made, caplog):
        parts = made()
        parts.cache.put("p", RESET, "Click reset.")
        parts.store.is_down = True
        with caplog.at_level(logging.WARNING, "tokenomics"):
            for _ in range(5):
                assert parts.cache.look_up("p", RESET).reason == "failure"
                assert not parts.cache.put("p", RESET, "Click reset.")
                assert parts.cache.fetch("p", RESET, lambda: "fresh").payload == "fresh"
        assert len(caplog.records) == 1
        assert parts.cache.stats().failures["store"] > 5
        assert parts.cache.stats().entries is None
        parts.store.is_down = False
        with caplog.at_level(logging.WARNING, "tokenomics"):
            assert parts.cache.get("p", RESET).payload == "Click reset."
        assert "works again" in caplog.records[-1].message

    def test_without_an_embedder_the_exact_tier_goes_on(self, made, caplog):
        parts = made()
        parts.embedder.is_down = True
        assert parts.cache.put("p", RESET, "Click reset.")
        assert parts.cache.get("p", RESET).payload == "Click reset."
        assert parts.cache.look_up("p", RESET_TOO).reason == "failure"
        assert parts.cache.stats().failures == {"embedder": 2}

    def test_a_policy_that_fails_serves_nothing_by_meaning(self, made):
        class Broken(NearPolicy):
            def decide(self, namespace, question, neighbours):
                raise ZeroDivisionError

            learn = count_exact = report = state = decide

        parts = made(policy=Broken())
        parts.cache.put("p", RESET, "Click reset.")
        assert parts.cache.look_up("p", RESET_TOO).reason == "failure"
        parts.cache.put("p", RESET_TOO, "Click reset.")
        parts.cache.close()

    def test_a_listener_that_fails_harms_nobody(self, made):
        def broken(event):
            raise RuntimeError

        cache = made().cache
        cache.subscribe(broken)
        assert cache.put("p", RESET, "Click reset.")
        assert cache.get("p", RESET).payload == "Click reset."
        assert cache.stats().failures == {"listener": 2}

    def test_a_store_that_is_down_at_the_beginning_does_not_keep_the_application_from_starting(self, made):
        store = DictStore()
        store.is_down = True
        parts = made(store=store)
        store.is_down = False
        assert parts.cache.put("p", RESET, "Click reset.")

    def test_a_price_book_that_fails_leaves_the_cost_unknown(self, made):
        class Broken:
            def cost(self, usage, model, provider=None, at=None):
                raise RuntimeError

        cache = made(prices=Broken()).cache
        cache.put("p", RESET, "Click reset.", usage=Usage(input_tokens=1), model="m")
        assert cache.get("p", RESET).avoided_usd is None


class Book:
    """Prices every call alike, with digits beyond a nano-dollar."""

    def cost(self, usage, model, provider=None, at=None):
        return Cost(total_usd=Decimal("0.0000000015") if model == "m" else None, source="test")


class TestStatistics:
    def test_what_hits_avoid_adds_up(self, made):
        cache = made(prices=Book()).cache
        usage = Usage(input_tokens=100, output_tokens=20)
        cache.put("p", RESET, "Click reset.", usage=usage, model="m")
        cache.put("p", DELETE, "Click delete.", usage=usage, model="unknown")
        hits = [
            cache.get("p", RESET),
            cache.get("p", RESET),
            cache.get("p", RESET_TOO),
            cache.get("p", DELETE),
        ]
        stats = cache.stats()
        assert [hit.avoided_usd for hit in hits] == [Decimal("0.000000002")] * 3 + [None]
        assert hits[0].avoided_usage == usage
        assert stats.avoided_usd == Decimal("0.000000006")
        assert (stats.avoided_input_tokens, stats.avoided_output_tokens) == (400, 80)
        assert (stats.hits_exact, stats.hits_semantic, stats.unpriced_hits) == (3, 1, 1)
        assert (stats.entries, stats.stored) == (2, 2)
        assert stats.hit_rate == 1.0

    def test_nothing_asked_is_no_rate(self, made):
        stats = made().cache.stats()
        assert stats.hit_rate is None
        assert stats.mean_hit_age_s is None

    def test_statistics_and_explanations_draw_themselves(self, made):
        cache = made().cache
        cache.put("p", RESET, "Click reset.")
        for question in (RESET, RESET_TOO, DELETE, "What is new today?"):
            cache.get("p", question)
        drawn = str(cache.stats())
        assert "same meaning" in drawn
        assert "time_dependent 1" in drawn
        assert "<table" in cache.stats()._repr_html_()
        why = cache.explain("p", RESET_TOO)
        assert RESET in str(why)
        assert "<table" in why._repr_html_()
        pytest.importorskip("rich")
        assert cache.stats().__rich__() is not None
        assert why.__rich__() is not None


class TestExplaining:
    def test_it_says_what_a_look_up_would_do_and_counts_nothing(self, made):
        parts = made()
        cache = parts.cache
        cache.put("p", RESET, "Click reset.")
        cache.put("p", DELETE, "Click delete.")
        outcomes = {
            question: cache.explain("p", question).outcome
            for question in (RESET, RESET_TOO, "Where is Rome?", "What is new today?")
        }
        assert outcomes == {
            RESET: "exact",
            RESET_TOO: "semantic",
            "Where is Rome?": "unsure",
            "What is new today?": "guard",
        }
        assert {namespace for namespace, _ in parts.policy.decided} == {"default (explained)"}
        assert cache.stats().requests == 0

    def test_it_shows_candidates_with_probabilities_the_nearest_first(self, made):
        cache = made().cache
        cache.put("p", DELETE, "Click delete.")
        cache.put("p", RESET, "Click reset.")
        why = cache.explain("p", RESET_TOO)
        assert [candidate.question for candidate in why.candidates] == [RESET, DELETE]
        assert why.candidates[0].probability >= why.threshold > why.candidates[1].probability
        assert "refusal" in why.guards

    async def test_it_says_that_nothing_is_there(self, made):
        parts = made()
        assert (await parts.cache.aexplain("p", RESET)).outcome == "nothing_near"
        parts.store.is_down = True
        assert (await parts.cache.aexplain("p", RESET)).outcome == "failure"


class TestWarmingUp:
    def test_lines_that_cannot_be_read_are_counted_quoted_and_skipped(self, made, tmp_path):
        path = tmp_path / "known.jsonl"
        path.write_text(
            '{"question": "How do I reset my password?", "answer": "Click reset.", "sources": ["faq"]}\n'
            "\n"
            '{"question": "no answer"}\n'
            "not json at all\n"
            "[1]\n"
            '{"question": "q", "answer": "a", "colour": "red"}\n'
            '{"question": "q", "answer": "a", "usage": {"input_tokens": -1}}\n'
            '{"question": "Who?", "answer": "ada@mail.net"}\n'
            '{"question": "Where?", "answer": "There.", "partition": "q", "usage": {"input_tokens": 3}}\n',
            encoding="utf-8",
        )
        cache = made().cache
        done = cache.warm_up(path, partition="p")
        assert (done.stored, done.not_kept) == (2, 1)
        assert [line.number for line in done.bad_lines] == [3, 4, 5, 6, 7]
        assert "not json at all" in str(done.bad_lines[1])
        assert "colour" in done.bad_lines[3].why
        assert cache.get("p", RESET).sources == ("faq",)
        assert cache.get("q", "Where?").avoided_usage == Usage(input_tokens=3)

    async def test_mappings_do_as_well(self, made):
        cache = made().cache
        done = await cache.awarm_up(
            [{"question": RESET, "answer": "Click reset."}, {"question": 3}], partition="p"
        )
        assert (done.stored, len(done.bad_lines)) == (1, 1)
        assert (await cache.aget("p", RESET)).payload == "Click reset."

    def test_a_file_that_is_not_there_is_refused(self, made, tmp_path):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            made().cache.warm_up(tmp_path / "none.jsonl", partition="p")


class TestRefusals:
    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ({"eviction": "random"}, "eviction must be"),
            ({"namespace": ""}, "namespace must be"),
            ({"namespace": "a\x1fb"}, "namespace must be"),
            ({"ttl_s": 0}, "ttl_s must be finite and above 0, not 0"),
            ({"ttl_s": "1h"}, "ttl_s must be a number of seconds, not '1h'"),
            ({"tag_ttl_s": {"t": -1}}, "tag_ttl_s"),
            ({"ttl_jitter": 1.0}, "ttl_jitter must be"),
            ({"stale_s": float("inf")}, "stale_s must be finite"),
            ({"max_entries": 0}, "max_entries must be a whole number of 1 or more"),
            ({"max_bytes": 1.5}, "max_bytes must be"),
            ({"guards": [lambda content: True]}, "guards must be content guards"),
            ({"wait_s": 0}, "wait_s"),
        ],
    )
    def test_wrong_settings_are_refused(self, made, setting, message):
        with pytest.raises(ConfigurationError, match=message):
            made(**setting)

    def test_another_embedders_store_is_refused(self, made):
        class Bound(DictStore):
            def bind(self, embedder, dimension):
                raise ConfigurationError("vectors of another embedder are there")

        with pytest.raises(ConfigurationError, match="another embedder"):
            made(store=Bound())

    def test_what_is_no_question_or_no_answer_is_refused(self, made):
        cache = made().cache
        with pytest.raises(ConfigurationError, match="question must be a string, not int"):
            cache.get("p", 3)
        with pytest.raises(ConfigurationError, match="partition must be a string, not None"):
            cache.get(None, "q")
        with pytest.raises(ConfigurationError, match="payload must be bytes or str, not dict"):
            cache.put("p", "q", {})
        with pytest.raises(ConfigurationError, match="tags must be strings"):
            cache.put("p", "q", "a", tags=[1])
        with pytest.raises(ConfigurationError, match="ttl_s must be finite"):
            cache.put("p", "q", "a", ttl_s=-1)
        with pytest.raises(ConfigurationError, match="how must be"):
            cache.get("p", "q", how="maybe")


def test_an_answer_brings_what_is_known_about_it(made):
    cache = made().cache
    fresh = Answer(
        payload=bytearray(b"x"), answer="x marks the spot", tags="t", sources=["a", "b"], model="m"
    )
    assert cache.put("p", RESET, fresh, version="3")
    hit = cache.get("p", RESET, version="3")
    assert (hit.payload, hit.tags, hit.sources, hit.model) == (b"x", ("t",), ("a", "b"), "m")
    assert "exact hit" in repr(hit)


def test_closing_writes_down_what_was_kept_back(made):
    parts = made()
    with parts.cache as cache:
        cache.put("p", RESET, "Click reset.")
        parts.clock.forward(60)
        cache.get("p", RESET)
    assert parts.store.is_closed
    assert parts.store.used["e0"] == parts.clock.now


async def test_closing_works_without_blocking_too(made):
    parts = made()
    async with parts.cache as cache:
        await cache.aput("p", RESET, "Click reset.")
        await cache.aget("p", RESET)
    assert parts.store.is_closed
