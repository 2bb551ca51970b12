"""What every cache store must do: one suite, run on each implementation."""

from __future__ import annotations

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.core.cache.stores.model import StoreMachine
from tests.core.cache.stores.samples import DIMENSION, EMBEDDER, NOW, entry, unit
from tokenomics_core import ConfigurationError, StoreError, Usage
from tokenomics_core.cache import Selector

METHODS = (
    "bind", "find", "search", "read", "put", "regroup", "invalidate", "touch", "trim", "size", "entries",
    "claim", "release", "load_state", "save_state",
)  # fmt: skip


class AsyncTwin:
    """A store whose every method is its async twin, run to its end in a loop of its own."""

    def __init__(self, store) -> None:
        self._loop = asyncio.new_event_loop()
        for name in METHODS:
            setattr(self, name, self._waiting(getattr(store, f"a{name}")))
        self._aclose = store.aclose

    def close(self) -> None:
        self._loop.run_until_complete(self._aclose())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _waiting(self, method):
        return lambda *arguments, **named: self._loop.run_until_complete(method(*arguments, **named))


class StoreContract(ABC):
    """Derive, say how to make a store, and the suite runs on it."""

    @abstractmethod
    def make(self):
        """Return a new, empty store; the suite closes it."""

    examples: ClassVar[int] = 60

    @pytest.fixture
    def store(self):
        store = self.make()
        store.bind(EMBEDDER, DIMENSION)
        yield store
        store.close()

    # Against a dictionary

    @pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
    def test_it_says_what_a_dictionary_says_whatever_is_asked_of_it(self, is_async):
        def make(_machine):
            return AsyncTwin(self.make()) if is_async else self.make()

        machine = type("Machine", (StoreMachine,), {"make": make})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=self.examples // 2 if is_async else self.examples,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

    # Entries

    def test_everything_of_an_entry_comes_back(self, store):
        usage = Usage(input_tokens=3, output_tokens=5, cache_read_tokens=1, service_tier="flex", batch=True)
        given = entry(
            payload=bytes(range(256)), answer="ja", is_text=False, expires_at=NOW + 10.25,
            stale_until=NOW + 20.125,
            model="m", tenant="t", sources=("s1", "s2", "s1"), tags=("x",), version="v7", usage=usage,
            cost_nano_usd=123_456_789_012,
        )  # fmt: skip
        store.put(given, unit(1))
        assert store.read(given.id, NOW) == given
        assert store.find("p", given.key, NOW) == given
        assert store.entries(limit=3, now=NOW) == [given]

    def test_a_payload_may_be_empty_and_may_be_megabytes(self, store):
        for number, payload in enumerate([b"", os.urandom(3_000_000)]):
            store.put(entry("a" * 100_000, number=number, payload=payload), None)
            assert store.read(f"id-{number}", NOW).payload == payload

    def test_a_whole_number_for_a_time_is_the_same_time(self, store):
        store.put(entry(now=int(NOW), expires_at=int(NOW) + 5, stale_until=int(NOW) + 7), None)
        found = store.read("id-0", NOW + 6)
        assert (found.created_at, found.expires_at, found.stale_until) == (NOW, NOW + 5, NOW + 7)

    def test_a_new_answer_takes_the_place_of_its_keys_and_starts_unused(self, store):
        store.put(entry(number=0, cost_nano_usd=10**9, sources=("old",)), unit(1))
        store.put(entry("another", number=9, now=NOW + 1), unit(2))
        store.touch({"id-0": 5}, NOW + 2)
        store.put(entry(number=1, now=NOW + 3), unit(3))
        assert store.read("id-0", NOW + 4) is None
        assert [item.id for item in store.search("p", unit(1), 5, NOW + 4)].count("id-0") == 0
        assert store.invalidate(Selector(source="old")) == 0
        assert store.size(NOW + 4).entries == 2

    def test_a_new_answer_has_yet_to_earn_its_place(self, store):
        store.put(entry(number=0, cost_nano_usd=10**9), unit(1))
        store.put(entry("another", number=1, now=NOW + 1, cost_nano_usd=10**9), unit(2))
        store.touch({"id-0": 50, "id-1": 5}, NOW + 2)
        store.put(entry(number=2, now=NOW + 3, cost_nano_usd=10**9), unit(1))
        assert store.trim(1, None, "saving", NOW + 4) == 1
        assert store.read("id-1", NOW + 4) is not None

    def test_a_new_answer_is_not_the_first_to_go(self, store):
        for number in range(3):
            store.put(entry(f"q{number}", number=number, cost_nano_usd=10**9), unit(number))
        store.touch({f"id-{number}": number + 1 for number in range(3)}, NOW + 1)
        store.put(entry("new", number=9, now=NOW + 3_600, cost_nano_usd=10**9), unit(9))
        assert store.trim(3, None, "saving", NOW + 3_601) == 1
        assert store.read("id-0", NOW + 3_601) is None
        assert store.read("id-9", NOW + 3_601) is not None

    def test_an_answer_of_unknown_cost_counts_as_one_of_usual_cost(self, store):
        for number, cost in enumerate([10**6, 10**9, None]):
            store.put(entry(f"q{number}", number=number, cost_nano_usd=cost), unit(number))
        assert store.trim(2, None, "saving", NOW + 9) == 1
        assert store.read("id-0", NOW + 9) is None
        assert store.trim(1, None, "saving", NOW + 9) == 1
        assert store.read("id-2", NOW + 9) is not None

    def test_a_cosine_is_never_beyond_one(self, store):
        vector = np.full(DIMENSION, 1.0, np.float32)
        vector /= np.linalg.norm(vector)
        longer = vector * np.float32(1.001)
        store.put(entry("near", number=0), longer)
        store.put(entry("far", number=1), -longer)
        assert [item.similarity for item in store.search("p", longer, 2, NOW)] == [1.0, -1.0]

    def test_a_lock_of_a_clock_that_was_set_back_is_free(self, store):
        assert store.claim("lock", "one", 10.0, NOW)
        assert not store.claim("lock", "two", 10.0, NOW - 60)
        assert store.claim("lock", "two", 10.0, NOW - 3_600)

    def test_an_id_that_is_stored_again_under_another_key_leaves_the_old_key(self, store):
        store.put(entry("first"), unit(1))
        store.put(entry("second"), unit(2))
        assert store.find("p", entry("first").key, NOW) is None
        assert store.find("p", entry("second").key, NOW).question == "second"
        assert len(store.search("p", unit(1), 5, NOW)) == 1

    def test_names_that_no_database_takes_name_the_same_thing_again(self, store):
        store.put(entry(sources=("a\0b", "\ud83d"), tags=("\udfff",), model="m\0", tenant="\ud800"), unit(1))
        store.claim("lock\0\ud83d", "me\0", 10.0, NOW)
        assert not store.claim("lock\0\ud83d", "you\0", 10.0, NOW)
        store.release("lock\0\ud83d", "me\0")
        assert store.claim("lock\0\ud83d", "you\0", 10.0, NOW)
        store.save_state("s\0\ud83d", b"1")
        assert store.load_state("s\0\ud83d") == b"1"
        store.regroup("id-0", "g\0\ud83d")
        for selector in (
            Selector(source="a\0b", model="m\0"),
            Selector(tag="\udfff", tenant="\ud800", prefix="How\0"),
        ):
            assert store.invalidate(selector) == (0 if selector.prefix else 1)

    def test_partitions_that_a_database_cannot_spell_stay_apart(self, store):
        spellings = ["p\0", "p\N{REPLACEMENT CHARACTER}", "p?", "p\ud83d", "p\udc00", "p"]
        for number, partition in enumerate(spellings):
            store.put(entry(number=number, partition=partition), unit(1))
        for number, partition in enumerate(spellings):
            assert store.find(partition, entry().key, NOW).id == f"id-{number}"
            assert [item.id for item in store.search(partition, unit(1), 9, NOW)] == [f"id-{number}"]
            assert [item.id for item in store.entries(partition, limit=9, now=NOW)] == [f"id-{number}"]
        assert store.invalidate(Selector(partition="p\ud83d")) == 1
        assert store.size(NOW).entries == len(spellings) - 1

    # Life

    def test_an_entry_is_served_until_the_very_moment_of_its_end(self, store):
        store.put(entry("fresh", number=0, expires_at=NOW + 1), unit(1))
        store.put(entry("stale", number=1, expires_at=NOW + 1, stale_until=NOW + 2), unit(1))
        assert {item.id for item in store.search("p", unit(1), 9, NOW + 0.999)} == {"id-0", "id-1"}
        assert [item.id for item in store.search("p", unit(1), 9, NOW + 1)] == ["id-1"]
        assert store.find("p", entry("stale").key, NOW + 1.999) is not None
        assert store.find("p", entry("stale").key, NOW + 2) is None
        assert store.size(NOW + 2).entries == 0

    def test_the_living_are_found_behind_any_number_of_dead(self, store):
        for number in range(60):
            store.put(entry(f"q{number}", number=number, expires_at=NOW + 1), unit(1))
        store.put(entry("last", number=99), unit(2))
        assert [item.id for item in store.search("p", unit(1), 3, NOW + 2)] == ["id-99"]

    def test_a_selector_without_conditions_names_everything(self, store):
        for number in range(3):
            store.put(entry(f"q{number}", number=number, partition=f"p{number}"), unit(number))
        assert store.invalidate(Selector()) == 3
        assert store.size(NOW) == (0, 0)

    @pytest.mark.parametrize("by", ["lru", "saving"])
    def test_a_capacity_of_one_keeps_the_one_most_worth_keeping(self, store, by):
        for number in range(4):
            costs = 10**9 if number == 1 else 1
            store.put(entry(f"q{number}", number=number, now=NOW + number, cost_nano_usd=costs), unit(number))
        store.touch({"id-1": 1}, NOW + 10)
        assert store.trim(1, None, by, NOW + 11) == 3
        assert store.read("id-1", NOW + 11) is not None
        assert store.trim(None, 0, by, NOW + 11) == 1
        assert store.size(NOW + 11) == (0, 0)
        store.put(entry("after", number=9, now=NOW + 12), unit(9))
        assert store.trim(1, None, by, NOW + 13) == 0
        assert len(store.search("p", unit(9), 2, NOW + 13)) == 1

    # Embedders

    def test_an_empty_store_takes_any_embedder_and_a_filled_one_only_its_own(self, store):
        store.search("p", unit(1), 3, NOW)
        store.put(entry("exact only", number=1), None)
        store.bind("other/2", 5)
        vector = unit(1, 5)
        store.put(entry(), vector)
        assert store.search("p", vector, 3, NOW)[0].similarity == pytest.approx(1, abs=3e-3)
        for embedder, dimension in ((EMBEDDER, 5), ("other/2", DIMENSION)):
            with pytest.raises(ConfigurationError, match=r"'other/2'.*5"):
                store.bind(embedder, dimension)
        store.bind("other/2", 5)
        store.invalidate(Selector())
        store.bind(EMBEDDER, DIMENSION)
        store.put(entry(), unit(1))
        assert len(store.search("p", unit(1), 3, NOW)) == 1

    # Many at once

    def test_threads_neither_lose_nor_mix_anything(self, store):
        errors = []

        def work(thread):
            try:
                for number in range(12):
                    key = f"{thread}-{number}"
                    store.put(
                        replace(entry(key, partition=f"p{thread}"), id=key, sources=(key,)), unit(number)
                    )
                    assert store.find(f"p{thread}", entry(key).key, NOW).id == key
                    near = store.search(f"p{thread}", unit(number), 3, NOW)
                    assert near[0].id == key
                    assert all(item.id.startswith(f"{thread}-") for item in near)
                    store.touch({key: 1}, NOW)
                    if number % 3 == 0:
                        assert store.invalidate(Selector(source=key)) == 1
                        assert store.read(key, NOW) is None
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert store.size(NOW).entries == 4 * 8

    def test_threads_that_answer_one_question_leave_one_answer(self, store):
        errors = []

        def work(thread):
            try:
                for number in range(10):
                    store.put(replace(entry(), id=f"{thread}-{number}"), unit(1))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert store.size(NOW).entries == 1
        assert len(store.search("p", unit(1), 5, NOW)) == 1

    def test_one_of_many_threads_gets_a_claim(self, store):
        granted, barrier = [], threading.Barrier(8)

        def work(thread):
            barrier.wait()
            if store.claim("leader", f"owner-{thread}", 10.0, NOW):
                granted.append(thread)

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(granted) == 1
        assert store.claim("leader", "heir", 10.0, NOW + 10)

    async def test_tasks_of_one_loop_use_it_at_once(self):
        store = self.make()
        await store.abind(EMBEDDER, DIMENSION)
        await asyncio.gather(
            *(store.aput(entry(f"q{number}", number=number), unit(number)) for number in range(20))
        )
        found = await asyncio.gather(*(store.asearch("p", unit(number), 1, NOW) for number in range(20)))
        assert [near[0].id for near in found] == [f"id-{number}" for number in range(20)]
        claims = await asyncio.gather(
            *(store.aclaim("leader", f"owner-{number}", 5.0, NOW) for number in range(20))
        )
        assert claims.count(True) == 1
        await store.aclose()

    def test_loops_one_after_another_use_one_store(self):
        store = self.make()

        async def use(number):
            await store.abind(EMBEDDER, DIMENSION)
            await store.aput(entry(f"q{number}", number=number), unit(number))
            return len(await store.asearch("p", unit(number), 9, NOW))

        assert [asyncio.run(use(number)) for number in range(3)] == [1, 2, 3]
        store.close()

    # What is given is not what is kept

    def test_changing_a_vector_afterwards_changes_nothing(self, store):
        vector = unit(1)
        store.put(entry(), vector)
        vector[:] = 0
        assert store.search("p", unit(1), 1, NOW)[0].similarity == pytest.approx(1, abs=3e-3)

    def test_asking_for_nothing_finds_nothing(self, store):
        assert store.search("p", unit(1), 3, NOW) == []
        store.put(entry(), unit(1))
        assert store.search("p", unit(1), 0, NOW) == []
        assert store.entries(limit=0, now=NOW) == []
        assert store.entries("nobody", limit=5, now=NOW) == []
        assert store.search("nobody", unit(1), 3, NOW) == []
        store.touch({}, NOW)
        assert store.invalidate(Selector(tag="x", source="y")) == 0

    def test_a_vector_may_have_any_strides(self, store):
        wide = np.zeros((DIMENSION, 3), np.float32)
        wide[:, 1] = unit(4)
        store.put(entry(), wide[:, 1])
        assert store.search("p", wide[:, 1], 1, NOW)[0].similarity == pytest.approx(1, abs=3e-3)

    # The end

    def test_a_closed_store_says_so(self):
        store = self.make()
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.find("p", "k", NOW)
        with pytest.raises(StoreError, match="closed"):
            store.put(entry(), None)
        with pytest.raises(StoreError, match="closed"):
            asyncio.run(store.afind("p", "k", NOW))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
    def test_a_forked_child_goes_on_and_leaves_its_parent_alone(self, store):
        store.put(entry(), unit(1))
        asyncio.run(store.afind("p", entry().key, NOW))
        child = os.fork()
        if child == 0:
            status = 1
            try:
                found = store.search("p", unit(1), 1, NOW)
                store.put(entry("child's", number=2), unit(2))
                again = asyncio.run(store.afind("p", entry("child's").key, NOW))
                status = 0 if len(found) == 1 and again is not None else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert store.find("p", entry().key, NOW) is not None
        store.put(entry("parent's", number=3), unit(3))
        assert store.search("p", unit(3), 1, NOW)[0].id == "id-3"
