"""No interleaving of partitions ever serves another's entry, and the same text always finds its own."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.cache.facade.fakes import DictStore, NearPolicy, WordEmbedder
from tokenomics_core.cache import ResponseCache, partition_of
from tokenomics_core.cache._flow import Flow
from tokenomics_core.cache._text import key_of

QUESTIONS = [
    "How do I reset my password?",
    "how do i reset my  PASSWORD?",
    "How do I reset my password please?",
    "How do I delete my account?",
    "Refund for order 1123",
    "Refund for order 1124",
]
tenants = st.sampled_from(["a", "b", "ab", ""])
names = st.sampled_from(["p", "p1", "q", "", "\x1f", "p\x1fq", "default\x1fp", "\0", "\ud800", "p" * 600])
steps = st.lists(
    st.tuples(st.sampled_from(["put", "get"]), tenants, names, st.sampled_from(QUESTIONS)), max_size=30
)


def everything_served_is_the_callers_own(moves, namespaces=("one", "two")) -> None:
    """Run the moves on caches that share a store; every answer names the place it belongs to."""
    store, known = DictStore(), {}
    caches = {
        name: ResponseCache(store, WordEmbedder(), NearPolicy(0.8), namespace=name, guards=(), ttl_s=None)
        for name in namespaces
    }
    for index, (move, tenant, name, question) in enumerate(moves):
        space = namespaces[index % len(namespaces)]
        partition = partition_of(tenant=tenant, extra=name) if index % 3 else name
        place = (space, partition)
        if move == "put":
            caches[space].put(partition, question, repr((place, index)))
            known[place, key_of(question)] = repr((place, index))
        else:
            hit = caches[space].get(partition, question)
            exact = known.get((place, key_of(question)))
            assert (hit is not None and hit.kind == "exact") == (exact is not None)
            if exact is not None:
                assert hit.payload == exact
            elif hit is not None:
                assert hit.payload.startswith(repr(place).join(("(", ", ")))


@given(steps)
@settings(max_examples=150, deadline=None)
def test_no_interleaving_serves_an_entry_of_another_partition_or_namespace(moves):
    everything_served_is_the_callers_own(moves)


def test_a_hundred_thousand_look_ups_among_tenants_serve_nobody_elses_answer():
    rng = random.Random(4)
    cache = ResponseCache(DictStore(), WordEmbedder(), NearPolicy(0.8), guards=())
    partitions = [partition_of(tenant=f"tenant {number}", model="m") for number in range(8)]
    for partition in partitions:
        for question in rng.sample(QUESTIONS, 3):
            cache.put(partition, question, f"{partition}|{key_of(question)}")
    served = 0
    for _ in range(100_000):
        partition, question = rng.choice(partitions), rng.choice(QUESTIONS)
        hit = cache.get(partition, question, how=rng.choice(("exact", "exact", "exact", "semantic")))
        if hit is not None:
            served += 1
            owner, _, key = hit.payload.partition("|")
            assert owner == partition
            assert (key == key_of(question)) == (hit.kind == "exact")
    assert served > 40_000


@given(st.lists(st.text(st.characters(), max_size=8), min_size=2, max_size=2, unique=True))
def test_two_partitions_never_have_one_place(pair):
    def flow(namespace):
        return ResponseCache(DictStore(), WordEmbedder(), NearPolicy(), namespace=namespace)._flow

    one, other = (Flow.place(flow("n"), name) for name in pair)
    assert one != other
    assert Flow.place(flow("n"), pair[0]) != Flow.place(flow("m"), pair[0])


def test_a_name_too_long_to_be_kept_is_not_taken_for_its_own_digest():
    flow = ResponseCache(DictStore(), WordEmbedder(), NearPolicy())._flow
    long = flow.place("p" * 600)
    digest = long.removeprefix("default")[1:]
    assert len(long) < 200
    assert flow.place(digest) != long


def test_a_store_that_mixes_partitions_up_is_not_believed():
    class Mixed(DictStore):
        def search(self, partition, vector, k, now):
            return [
                near
                for place in {entry.partition for entry, _ in self.by_id.values()}
                for near in super(Mixed, self).search(place, vector, k, now)
            ]

    cache = ResponseCache(Mixed(), WordEmbedder(), NearPolicy(0.1), guards=())
    cache.put("one", QUESTIONS[0], "of one")
    assert cache.get("two", QUESTIONS[2]) is None


def test_a_tenants_own_answer_only_even_where_a_partition_is_shared_by_mistake():
    cache = ResponseCache(DictStore(), WordEmbedder(), NearPolicy(), guards=())
    cache.put("p", "What is my balance?", "12", tenant="ada")
    assert cache.get("p", "What is my balance?", tenant="bob") is None
    assert cache.get("p", "What is my balance?", tenant="ada").payload == "12"
