"""What compression spared adds up, whoever counts."""

import copy
from concurrent.futures import ThreadPoolExecutor

from tokenomics_core.compression.stats import CompressionStats, CompressionTally


def test_what_any_threads_count_adds_up():
    tally = CompressionTally()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda at: tally.add(at + 10, at), range(1_000)))
    stats = tally.stats()
    assert (stats.runs, stats.tokens_avoided) == (1_000, 10_000)
    assert stats.tokens_before - stats.tokens_after == stats.tokens_avoided


def test_a_copy_begins_anew():
    tally = CompressionTally()
    tally.add(10, 5)
    for other in (copy.deepcopy(tally), copy.copy(tally)):
        assert other.stats() == CompressionStats()
    assert tally.stats().runs == 1
