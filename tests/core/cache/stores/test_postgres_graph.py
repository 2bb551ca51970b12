"""A large partition in PostgreSQL is found through a graph, and nobody else's entries with it."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.core.cache.stores.samples import DIMENSION, EMBEDDER, NOW, entry, unit
from tokenomics_core.cache import Selector


@pytest.fixture
def filled(postgres_server):
    """A store with a partition that is worth a graph, and a second one with the very same vectors."""
    from tokenomics_core.cache import PostgresCacheStore

    store = PostgresCacheStore(postgres_server.dsn, schema=postgres_server.new_schema())

    async def fill():
        await store.abind(EMBEDDER, DIMENSION)
        slots = asyncio.Semaphore(8)

        async def put(number, partition):
            about = {"sources": (f"s{number % 7}",), "expires_at": NOW + 5 if number % 5 == 0 else None}
            made = entry(f"q{number}", number=number, partition=partition, **about)
            async with slots:
                await store.aput(replace(made, id=f"{partition}-{number}"), unit(number))

        await asyncio.gather(
            *(put(number, "large") for number in range(1_200)), *(put(number, "few") for number in range(60))
        )
        await store.aclose()

    asyncio.run(fill())
    store = PostgresCacheStore(postgres_server.dsn, schema=store._schema)
    store.bind(EMBEDDER, DIMENSION)
    yield store
    store.close()


def recall(store, alive, now):
    rows, shares = np.stack([unit(number) for number in alive]), []
    for seed in range(5_000, 5_030):
        near = store.search("large", unit(seed), 5, now)
        assert len(near) == 5
        assert all(one.similarity >= then.similarity for one, then in itertools.pairwise(near))
        best = {f"large-{alive[place]}" for place in np.argsort(-(rows @ unit(seed)))[:5]}
        shares.append(len(best & {item.id for item in near}) / 5)
    return np.mean(shares)


def test_the_graph_finds_what_comparing_with_all_finds_of_its_partition_and_of_the_living(filled):
    everything = list(range(1_200))
    assert recall(filled, everything, NOW) > 0.95
    share = filled._shares["large"]
    assert share.suits_graph(5), "the graph was meant to be used"
    living = [number for number in everything if number % 5]
    assert recall(filled, living, NOW + 6) > 0.95
    assert filled.invalidate(Selector(source="s3", partition="large")) == sum(n % 7 == 3 for n in everything)
    assert recall(filled, [number for number in living if number % 7 != 3], NOW + 6) > 0.95
    assert {item.id for item in filled.search("few", unit(7), 60, NOW)} == {f"few-{n}" for n in range(60)}


def test_what_the_graph_cannot_fill_is_made_up_by_comparing(filled):
    filled.search("large", unit(1), 5, NOW)
    filled.invalidate(Selector(created_before=NOW + 1, partition="large"))
    filled.put(entry("left", partition="large", number=1), unit(1))
    assert [item.id for item in filled.search("large", unit(2), 5, NOW)] == ["id-1"]
