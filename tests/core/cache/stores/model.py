"""A store's contract against a dictionary: whatever is called, the two say the same."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.core.cache.stores.samples import DIMENSION, EMBEDDER, NOW, texts, unit, usages
from tokenomics_core import ConfigurationError
from tokenomics_core.cache import CacheEntry, Selector
from tokenomics_core.cache._codec import storable_entry
from tokenomics_core.cache._select import size_of
from tokenomics_core.cache._text import normalised

HALF = 3e-3
"""How far a cosine of vectors in half precision may be off."""

partitions = st.sampled_from(["p", "q", "r\N{GREEK SMALL LETTER ALPHA}"])
keys = st.sampled_from(["k0", "k1", "k2", "k3"])
names = st.sampled_from(["a", "b", "ü'\"{},\\"])
prefixes = st.sampled_from(["", "h", "How do I", "HOW  DO i r", "10", "日本", "'", "%", "_"])
maybe = lambda values: st.one_of(st.none(), values)  # noqa: E731 - reads as a word
seeds = st.one_of(st.none(), st.integers(0, 9))
lives = st.one_of(st.none(), st.tuples(st.integers(1, 60), st.sampled_from([None, 0, 5, 60])))


@dataclass
class Kept:
    entry: CacheEntry
    vector: np.ndarray | None
    used_at: float
    uses: int = 0

    @property
    def dies_at(self) -> float:
        end = self.entry.stale_until if self.entry.stale_until is not None else self.entry.expires_at
        return math.inf if end is None else end

    @property
    def bytes(self) -> int:
        return size_of(self.entry, 0 if self.vector is None else DIMENSION)

    def worth(self, by, now, usual):
        if by == "lru":
            return 0.0, self.used_at
        cost = usual if self.entry.cost_nano_usd is None else self.entry.cost_nano_usd
        return (self.uses + 1) * cost / self.bytes / max(now - self.used_at, 1.0), self.used_at


class StoreMachine(RuleBasedStateMachine):
    """Calls a store and a dictionary alike; derive and give it `make`."""

    def make(self):
        raise NotImplementedError

    def __init__(self):
        super().__init__()
        self.store = self.make()
        self.store.bind(EMBEDDER, DIMENSION)
        self.kept: dict[str, Kept] = {}
        self.claims: dict[str, tuple[str, float]] = {}
        self.states: dict[str, bytes] = {}
        self.now, self.count = NOW, 0

    def teardown(self):
        self.store.close()

    def live(self, partition=None):
        return {
            name: kept
            for name, kept in self.kept.items()
            if self.now < kept.dies_at and partition in {None, kept.entry.partition}
        }

    # Changes

    @rule(seconds=st.sampled_from([0.5, 7.0, 90.0]))
    def wait(self, seconds):
        self.now += seconds

    @rule(
        partition=partitions, key=keys, question=texts, payload=st.binary(max_size=20), answer=maybe(texts),
        seed=seeds, life=lives, model=maybe(names), tenant=maybe(names), version=maybe(names),
        sources=st.lists(names, max_size=3), tags=st.lists(names, max_size=3), usage=usages,
        cost=st.sampled_from([None, 0, 1, 10**6, 10**12]), is_text=st.booleans(),
    )  # fmt: skip
    def put(
        self, partition, key, question, payload, answer, seed, life, model, tenant, version, sources, tags,
        usage, cost, is_text,
    ):  # fmt: skip
        self.now, self.count = self.now + 1.0, self.count + 1
        expires_at = None if life is None else self.now + life[0]
        stale_until = None if life is None or life[1] is None else self.now + life[0] + life[1]
        entry = CacheEntry(
            id=f"id-{self.count}", partition=partition, key=key, question=question, payload=payload,
            is_text=is_text, answer=answer, group=f"g{self.count}", created_at=self.now,
            expires_at=expires_at, stale_until=stale_until,
            model=model, tenant=tenant, sources=tuple(sources), tags=tuple(tags),
            version=version, usage=usage, cost_nano_usd=cost,
        )  # fmt: skip
        vector = None if seed is None else unit(seed)
        self.store.put(entry, vector)
        for name, old in list(self.kept.items()):
            if (old.entry.partition, old.entry.key) == (partition, key):
                del self.kept[name]
        self.kept[entry.id] = Kept(entry, vector, self.now)

    @rule(
        choice=st.integers(0, 30), partition=maybe(partitions), tenant=maybe(names), source=maybe(names),
        tag=maybe(names), model=maybe(names), version=maybe(names), prefix=maybe(prefixes),
        age=maybe(st.sampled_from([0.0, 3.0, 30.0])),
        fields=st.sets(st.integers(0, 8), min_size=1, max_size=3),
    )  # fmt: skip
    def invalidate(self, choice, partition, tenant, source, tag, model, version, prefix, age, fields):
        names = list(self.kept)
        selector = Selector(
            id=names[choice % len(names)] if names and 0 in fields else None,
            partition=partition if 1 in fields else None,
            tenant=tenant if 2 in fields else None,
            source=source if 3 in fields else None,
            tag=tag if 4 in fields else None,
            model=model if 5 in fields else None,
            version=version if 6 in fields else None,
            prefix=prefix if 7 in fields else None,
            created_before=None if age is None or 8 not in fields else self.now - age,
        )
        named = [name for name, kept in self.kept.items() if is_named(selector, kept.entry)]
        alive = self.live()
        live = sum(name in alive for name in named)
        dropped = self.store.invalidate(selector)
        assert live <= dropped <= len(named)  # what is expired may be gone already
        for name in named:
            del self.kept[name]

    @precondition(lambda self: self.kept)
    @rule(choice=st.integers(0, 30), count=st.integers(1, 5))
    def touch(self, choice, count):
        self.now += 1.0
        name = list(self.kept)[choice % len(self.kept)]
        self.store.touch({name: count, "id-unknown": 1}, self.now)
        self.kept[name].uses += count
        self.kept[name].used_at = self.now

    @rule(
        entries=maybe(st.integers(1, 4)),
        share=maybe(st.sampled_from([0.0, 0.3, 0.8, 1.0])),
        by=st.sampled_from(["lru", "saving"]),
    )
    def trim(self, entries, share, by):
        live = self.live()
        costs = [item.entry.cost_nano_usd for item in live.values() if item.entry.cost_nano_usd is not None]
        usual = sum(costs) / len(costs) if costs else 1.0
        left = sorted(live, key=lambda name: live[name].worth(by, self.now, usual))
        n_bytes = sum(kept.bytes for kept in live.values())
        most = None if share is None else int(n_bytes * share)
        expired = len(self.kept) - len(live)
        gone = 0
        while left and (
            (entries is not None and len(left) > entries) or (most is not None and n_bytes > most)
        ):
            n_bytes -= live[left.pop(0)].bytes
            gone += 1
        dropped = self.store.trim(entries, most, by, self.now)
        assert gone <= dropped <= gone + expired
        self.kept = {name: live[name] for name in left}

    @precondition(lambda self: self.kept)
    @rule(choice=st.integers(0, 30), group=st.sampled_from(["same", "other"]))
    def regroup(self, choice, group):
        name = list(self.kept)[choice % len(self.kept)]
        self.store.regroup(name, group)
        self.store.regroup("id-unknown", group)
        self.kept[name].entry = replace(self.kept[name].entry, group=group)

    # Locks and states

    @rule(name=names, owner=st.sampled_from(["one", "two"]), lease=st.sampled_from([1.0, 20.0]))
    def claim(self, name, owner, lease):
        holder, until = self.claims.get(name, (owner, 0.0))
        free = holder == owner or self.now >= until
        assert self.store.claim(name, owner, lease, self.now) is free
        if free:
            self.claims[name] = owner, self.now + lease

    @rule(name=names, owner=st.sampled_from(["one", "two"]))
    def release(self, name, owner):
        self.store.release(name, owner)
        if self.claims.get(name, ("", 0))[0] == owner:
            del self.claims[name]

    @rule(name=names, data=st.binary(max_size=30))
    def save_state(self, name, data):
        self.store.save_state(name, data)
        self.states[name] = data

    @rule(name=names)
    def load_state(self, name):
        assert self.store.load_state(name) == self.states.get(name)

    # Reads

    @rule(partition=partitions, key=keys)
    def find(self, partition, key):
        found = self.store.find(partition, key, self.now)
        expected = [kept.entry for kept in self.live(partition).values() if kept.entry.key == key]
        assert_entries([] if found is None else [found], expected)

    @rule(partition=partitions, seed=st.integers(0, 9), k=st.integers(1, 12))
    def search(self, partition, seed, k):
        vector = unit(seed)
        found = self.store.search(partition, vector, k, self.now)
        near = {
            name: float(kept.vector @ vector)
            for name, kept in self.live(partition).items()
            if kept.vector is not None
        }
        assert len(found) == min(k, len(near))
        best = sorted(near.values(), reverse=True)[:k]
        assert [item.similarity for item in found] == pytest.approx(best, abs=HALF)
        assert all(one.similarity >= then.similarity for one, then in itertools.pairwise(found))
        for item in found:
            assert item.similarity == pytest.approx(near[item.id], abs=HALF)
            entry = self.kept[item.id].entry
            assert item.question in {entry.question, storable_entry(entry).question}
            assert item.group == entry.group

    @rule(partition=maybe(partitions), limit=st.integers(0, 5))
    def newest(self, partition, limit):
        live = [kept.entry for kept in self.live(partition).values()]
        live.sort(key=lambda entry: entry.created_at, reverse=True)
        assert_entries(self.store.entries(partition, limit=limit, now=self.now), live[:limit])

    @invariant()
    def every_live_entry_is_read_and_no_other(self):
        live = self.live()
        for name, kept in self.kept.items():
            found = self.store.read(name, self.now)
            assert_entries([] if found is None else [found], [kept.entry] if name in live else [])

    @rule()
    def size(self):
        live = self.live()
        size = self.store.size(self.now)
        assert size.entries == len(live)
        assert size.bytes == sum(kept.bytes for kept in live.values())

    @precondition(lambda self: any(kept.vector is not None for kept in self.live().values()))
    @rule(another=st.sampled_from([("other/1", DIMENSION), (EMBEDDER, DIMENSION + 1)]))
    def bind_another(self, another):
        with pytest.raises(ConfigurationError, match="nothing was changed"):
            self.store.bind(*another)
        self.store.bind(EMBEDDER, DIMENSION)


def is_named(selector: Selector, entry: CacheEntry) -> bool:
    conditions = [
        (selector.id, lambda value: value == entry.id),
        (selector.partition, lambda value: value == entry.partition),
        (selector.tenant, lambda value: value == entry.tenant),
        (selector.source, lambda value: value in entry.sources),
        (selector.tag, lambda value: value in entry.tags),
        (selector.model, lambda value: value == entry.model),
        (selector.version, lambda value: value == entry.version),
        (selector.prefix, lambda value: normalised(entry.question).startswith(normalised(value))),
        (selector.created_before, lambda value: entry.created_at < value),
    ]
    return all(holds(value) for value, holds in conditions if value is not None)


def assert_entries(found: list[CacheEntry], expected: list[CacheEntry]) -> None:
    """Compare entries up to what no database takes in a text."""
    assert [item.id for item in found] == [item.id for item in expected]
    for item, given in zip(found, expected, strict=True):
        assert item in (given, storable_entry(given))
        assert type(item.payload) is bytes
        assert type(item.created_at) is float
