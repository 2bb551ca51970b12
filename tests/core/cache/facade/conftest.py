from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from tests.core.cache.facade.fakes import Clock, DictStore, NearPolicy, WordEmbedder
from tokenomics_core.cache import ResponseCache


@pytest.fixture
def made():
    """Return a function that makes a cache of plain parts, all of them at hand."""

    makes = itertools.count()

    def make(**settings):
        prefix = "e" if (number := next(makes)) == 0 else f"m{number}-e"  # processes never share an id
        clock = settings.pop("clock", None) or Clock()
        ids = itertools.count()
        parts = SimpleNamespace(
            store=settings.pop("store", None) or DictStore(),
            embedder=settings.pop("embedder", None) or WordEmbedder(),
            policy=settings.pop("policy", None) or NearPolicy(),
            clock=clock,
        )
        parts.cache = ResponseCache(
            parts.store,
            parts.embedder,
            parts.policy,
            clock=clock,
            new_id=lambda: f"{prefix}{next(ids)}",
            **settings,
        )
        return parts

    return make
