"""Settings for tests of the examples."""

import asyncio

import pytest


@pytest.fixture(autouse=True, scope="module")
def no_loop_left_behind():
    """Say that there is no event loop: LlamaIndex's sync code then runs one of its own and closes it.

    Where nothing is said it makes one that nobody closes, and a later test is blamed for that.
    """
    asyncio.set_event_loop(None)
