"""Those who ask the same at the same time make one call, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.core.cache.facade.fakes import DictStore, NearPolicy, WordEmbedder
from tokenomics_core.cache import Answer, ResponseCache
from tokenomics_core.cache._flight import Flight, Leases

Q = "How do I reset my password?"
CALLERS = 50


class Provider:
    """Answers when it is let, and counts how often it was asked."""

    def __init__(self, fail_first: int = 0, answer: str | Answer = "Click reset.") -> None:
        self.calls = 0
        self.let_go = threading.Event()
        self.asked = threading.Event()
        self._fail_first, self._answer = fail_first, answer
        self._lock = threading.Lock()

    def __call__(self):
        with self._lock:
            self.calls += 1
            number = self.calls
        self.asked.set()
        assert self.let_go.wait(20)
        if number <= self._fail_first:
            raise ConnectionError("no answer")
        return self._answer

    async def slowly(self):
        return await asyncio.to_thread(self)


def waiting(cache) -> int:
    return sum(len(flight._wake) for flight in cache._turns.flights._open.values())


def wait_until(condition) -> None:
    """Give other threads their turn until something is so."""
    tick = threading.Event()
    for _ in range(20_000):
        if condition():
            return
        tick.wait(0.001)
    raise AssertionError("it never was so")


def test_fifty_threads_make_one_call(made):
    cache, provider = made().cache, Provider()
    with ThreadPoolExecutor(CALLERS) as pool:
        futures = [pool.submit(cache.fetch, "p", Q, provider) for _ in range(CALLERS)]
        wait_until(lambda: waiting(cache) == CALLERS - 1)
        provider.let_go.set()
        answers = [future.result(20) for future in futures]
    assert provider.calls == 1
    assert [answer.payload for answer in answers] == ["Click reset."] * CALLERS
    assert sum(answer.hit is not None and answer.hit.shared for answer in answers) == CALLERS - 1
    stats = cache.stats()
    assert (stats.hits_shared, stats.requests, sum(stats.misses.values())) == (CALLERS - 1, CALLERS, 1)


async def test_fifty_tasks_make_one_call(made):
    cache, provider = made().cache, Provider()
    tasks = [asyncio.create_task(cache.afetch("p", Q, provider.slowly)) for _ in range(CALLERS)]
    while waiting(cache) < CALLERS - 1:
        await asyncio.sleep(0)
    provider.let_go.set()
    answers = await asyncio.gather(*tasks)
    assert provider.calls == 1
    assert {answer.payload for answer in answers} == {"Click reset."}


async def test_threads_and_tasks_wait_for_one_another(made):
    cache, provider = made().cache, Provider()
    with ThreadPoolExecutor(10) as pool:
        loop = asyncio.get_running_loop()
        threads = [loop.run_in_executor(pool, cache.fetch, "p", Q, provider) for _ in range(10)]
        tasks = [asyncio.create_task(cache.afetch("p", Q, provider.slowly)) for _ in range(10)]
        while waiting(cache) < 19:
            await asyncio.sleep(0.001)
        provider.let_go.set()
        await asyncio.gather(*threads, *tasks)
    assert provider.calls == 1


def test_another_question_partition_tenant_or_version_does_not_wait(made):
    cache = made().cache
    turn = cache.begin("p", Q)
    others = [
        cache.begin("p", "Another question?", wait_s=0.01),
        cache.begin("q", Q, wait_s=0.01),
        cache.begin("p", Q, wait_s=0.01, tenant="ada"),
        cache.begin("p", Q, wait_s=0.01, version="2"),
    ]
    assert turn.leads
    assert all(other.leads for other in others)


def test_a_leader_that_fails_is_replaced_by_one_of_those_who_wait(made):
    cache, provider = made().cache, Provider(fail_first=1)
    with ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(cache.fetch, "p", Q, provider) for _ in range(20)]
        wait_until(lambda: waiting(cache) == 19)
        provider.let_go.set()
        outcomes = [future.exception(20) or future.result() for future in futures]
    assert provider.calls == 2
    assert sum(isinstance(outcome, ConnectionError) for outcome in outcomes) == 1


async def test_a_leader_that_is_cancelled_is_replaced(made):
    cache, provider = made().cache, Provider()
    leader = asyncio.create_task(cache.afetch("p", Q, provider.slowly))
    await asyncio.to_thread(provider.asked.wait, 10)
    others = [asyncio.create_task(cache.afetch("p", Q, provider.slowly)) for _ in range(9)]
    while waiting(cache) < 9:
        await asyncio.sleep(0)
    leader.cancel()
    provider.let_go.set()
    answers = await asyncio.gather(*others)
    assert leader.cancelled() or (await asyncio.gather(leader, return_exceptions=True))
    assert provider.calls == 2
    assert {answer.payload for answer in answers} == {"Click reset."}
    assert sum(answer.hit is None for answer in answers) == 1


def test_a_turn_that_is_dropped_lets_others_go_on(made):
    cache = made().cache
    turn = cache.begin("p", Q)
    assert turn.leads
    del turn
    gc.collect()
    assert cache.begin("p", Q, wait_s=0.01).leads


def test_who_waited_long_enough_computes_himself(made):
    parts = made()
    turn = parts.cache.begin("p", Q)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(parts.cache.begin, "p", Q, wait_s=0.01).result(20)
    assert (late.hit, late.leads) == (None, False)
    assert parts.cache.stats().waits_given_up == 1
    assert late.finish("mine")
    assert parts.cache.get("p", Q).payload == "mine"
    assert turn.finish("theirs")


def test_a_computation_may_ask_for_itself_without_waiting_for_itself(made):
    cache = made().cache

    def compute():
        return cache.fetch("p", Q, lambda: "inner", wait_s=0.05).payload + " and outer"

    assert cache.fetch("p", Q, compute).payload == "inner and outer"
    assert cache.stats().waits_given_up == 0


async def test_a_computation_may_ask_for_itself_from_a_task_of_its_own(made):
    cache = made().cache

    async def inner():
        return "inner"

    async def compute():
        fetched = await asyncio.create_task(cache.afetch("p", Q, inner, wait_s=0.05))
        return f"{fetched.payload} and outer"

    assert (await cache.afetch("p", Q, compute)).payload == "inner and outer"
    assert cache.stats().waits_given_up == 0


async def test_a_task_begun_inside_a_computation_waits_again_when_that_is_over(made):
    cache, started = made().cache, asyncio.Event()

    async def later():
        await started.wait()
        return await cache.abegin("p", Q, wait_s=0.01)

    async def compute():
        compute.task = asyncio.create_task(later())
        return Answer(payload=" ", is_error=True)

    await cache.afetch("p", Q, compute)
    turn = cache.begin("p", Q)
    assert turn.leads
    started.set()
    assert not (await compute.task).leads


def test_an_answer_that_may_not_be_kept_is_for_nobody_else_and_nobody_queues_for_it(made):
    cache, provider, together = made().cache, Provider(), threading.Barrier(9)

    def compute():
        provider()
        if provider.calls > 1:
            together.wait(20)  # nine at once, or never
        return Answer(payload="It begins", finish_reason="length")

    with ThreadPoolExecutor(10) as pool:
        futures = [pool.submit(cache.fetch, "p", Q, compute) for _ in range(10)]
        wait_until(lambda: waiting(cache) == 9)
        provider.let_go.set()
        answers = [future.result(20) for future in futures]
    assert provider.calls == 10
    assert all(answer.hit is None and not answer.is_stored for answer in answers)


def test_a_question_a_guard_objects_to_makes_nobody_wait(made):
    cache = made().cache
    turns = [cache.begin("p", "What is the weather today?", wait_s=0.01) for _ in range(2)]
    assert not any(turn.leads for turn in turns)


def test_without_its_store_a_process_still_makes_one_call(made):
    parts, provider = made(), Provider()
    parts.store.is_down = True
    with ThreadPoolExecutor(10) as pool:
        futures = [pool.submit(parts.cache.fetch, "p", Q, provider) for _ in range(10)]
        wait_until(lambda: waiting(parts.cache) == 9)
        provider.let_go.set()
        for future in futures:
            future.result(20)
    assert provider.calls == 1


def test_an_answer_that_came_between_look_up_and_turn_is_taken(made):
    parts = made()

    class Between(DictStore):
        """Stores an answer just before the lock is taken."""

        def claim(self, name, owner, lease_s, now):
            if name.startswith("flight") and not self.by_id:
                other.put("p", Q, "theirs")
            return super().claim(name, owner, lease_s, now)

    store = Between()
    other = made(store=store).cache
    cache = ResponseCache(store, WordEmbedder(), NearPolicy(), clock=parts.clock)
    turn = cache.begin("p", Q)
    assert turn.hit.payload == "theirs"
    assert turn.hit.shared
    assert store.claims == {}


class TestAmongProcesses:
    """Two caches on one store are to each other what two processes are."""

    def test_one_waits_for_the_others_answer(self, made):
        store = DictStore()
        one, other = made(store=store).cache, made(store=store).cache
        turn = one.begin("p", Q)
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(other.fetch, "p", Q, lambda: "mine")
            wait_until(lambda: store.calls.count("claim") > 2)
            turn.finish("theirs")
            assert future.result(20).payload == "theirs"
        assert store.claims == {}

    async def test_one_takes_over_where_the_other_fails(self, made):
        store = DictStore()
        one, other = made(store=store).cache, made(store=store).cache
        turn = await one.abegin("p", Q)
        future = asyncio.create_task(other.afetch("p", Q, lambda: "mine"))
        while store.calls.count("claim") < 3:
            await asyncio.sleep(0.001)
        await turn.aabandon()
        assert (await future).payload == "mine"
        assert store.claims == {}

    def test_one_takes_over_where_the_other_has_died(self, made):
        store = DictStore()
        one, other = made(store=store), made(store=store)
        turn = one.cache.begin("p", Q)
        one.cache._turns._leases.drop(*next((name, owner) for name, (owner, _) in store.claims.items()))
        other.clock.forward(11)
        assert other.cache.fetch("p", Q, lambda: "mine").payload == "mine"
        turn.finish("late")

    def test_one_waits_no_longer_than_it_wants(self, made):
        store = DictStore()
        one, other = made(store=store).cache, made(store=store).cache
        turn = one.begin("p", Q)
        assert other.fetch("p", Q, lambda: "mine", wait_s=0.02).payload == "mine"
        assert turn.finish("late")

    async def test_who_is_cancelled_while_he_waits_holds_nothing(self, made):
        store = DictStore()
        one, other = made(store=store).cache, made(store=store).cache
        turn = one.begin("p", Q)
        task = asyncio.create_task(other.abegin("p", Q))
        while store.calls.count("claim") < 3:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        turn.abandon()
        assert store.claims == {}
        assert other.begin("p", Q, wait_s=0.01).leads


def test_a_lock_is_kept_alive_while_its_owner_works_and_no_longer():
    renewed, released = [], []
    seen = threading.Event()

    def renew(name, owner):
        renewed.append((name, owner))
        if len(renewed) >= 3:
            seen.set()

    leases = Leases(renew, lambda name, owner: released.append(name), every_s=0.001)
    leases.hold("lock", "me")
    assert seen.wait(10)
    thread = leases._thread
    leases.drop("lock", "me")
    thread.join(10)
    assert not thread.is_alive()
    assert set(renewed) == {("lock", "me")}
    leases.hold("another", "me")
    leases.drop("another", "me")


def test_a_lock_given_back_while_it_is_renewed_is_given_back_again():
    released = threading.Event()

    def renew(name, owner):
        leases.drop(name, owner)

    leases = Leases(renew, lambda name, owner: released.set(), every_s=0.001)
    leases.hold("lock", "me")
    assert released.wait(10)


def test_a_leader_interrupted_before_it_computes_keeps_no_lock_alive(made):
    class Interrupted(DictStore):
        """Is interrupted once the lock is taken."""

        def find(self, partition, key, now):
            if self.claims:
                raise KeyboardInterrupt
            return super().find(partition, key, now)

    parts = made(store=Interrupted())
    with pytest.raises(KeyboardInterrupt):
        parts.cache.begin("p", Q)
    assert parts.cache._turns._leases._held == set()
    assert parts.cache._turns.flights._open == {}


def test_a_flight_ends_once():
    flight = Flight("f")
    assert flight.end("failed")
    assert not flight.end("shared")
    assert flight.wait(0.001)


async def test_a_turn_is_over_once(made):
    cache = made().cache
    async with await cache.abegin("p", Q) as turn:
        assert await turn.afinish("a")
        assert not await turn.afinish("b")
    turn.abandon()
    assert (await cache.aget("p", Q)).payload == "a"


@pytest.mark.parametrize("wait_s", [0, -1, float("nan")])
def test_waiting_for_no_time_is_refused(made, wait_s):
    with pytest.raises(ValueError, match="wait_s must be finite and above 0"):
        made().cache.fetch("p", Q, lambda: "a", wait_s=wait_s)


async def test_a_leader_that_is_cancelled_while_it_stores_keeps_no_lock_alive(made):
    storing = asyncio.Event()

    class Slow(DictStore):
        async def aput(self, entry, vector):
            storing.set()
            await asyncio.sleep(60)

    parts = made(store=Slow())

    async def compute():
        return "an answer"

    task = asyncio.create_task(parts.cache.afetch("p", Q, compute))
    await storing.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert parts.cache._turns._leases._held == set()
    assert parts.cache._turns.flights._open == {}


def test_an_answer_shared_in_flight_counts_as_a_use_of_its_entry(made):
    parts = made()
    turn = parts.cache.begin("p", Q)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(parts.cache.begin, "p", Q)
        while not parts.cache._turns.flights._open[turn._flight.name]._wake:
            threading.Event().wait(0.001)
        turn.finish("an answer")
        hit = other.result(10).hit
    assert hit.shared
    assert parts.cache._flow.parts.uses.take() == {hit.entry_id: 1}
