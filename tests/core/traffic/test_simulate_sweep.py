"""A sweep says what each value costs and risks, and which ones there are to choose among."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.config import Settings
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.rendering import to_text
from tokenomics_core.traffic import Simulation, Sweep, TrafficRecord, sweep
from tokenomics_core.traffic._simulate_intervals import Interval
from tokenomics_core.traffic._sweep import SweepPoint
from tokenomics_core.types import Attribution, Usage

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def made(usd, refused, requests=100):
    return Simulation(
        requests=requests,
        log_usd=Decimal(10),
        usd=Decimal(usd),
        saved_by={},
        difference=Interval(0.0, 0.0, 0.0),
        clusters=1,
        served={"exact": 0, "semantic": 0, "model": requests - refused, "refused": refused, "log": 0},
    )


points = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8)


def swept(pairs):
    return Sweep("cache.x", tuple(SweepPoint(str(n), made(*pair)) for n, pair in enumerate(pairs)))


@given(points)
def test_the_frontier_holds_every_value_that_no_other_one_beats(pairs):
    expected = [
        str(n)
        for n, (cost, risk) in enumerate(pairs)
        if not any(c <= cost and r <= risk and (c, r) != (cost, risk) for c, r in pairs)
    ]
    assert [point.value for point in swept(pairs).frontier] == expected


@given(points, st.integers(0, 9))
def test_the_cheapest_within_a_risk_is_the_cheapest_of_those_within_it(pairs, most):
    able = [pair for pair in pairs if pair[1] <= most]
    chosen = swept(pairs).cheapest(most / 100)
    if not able:
        assert chosen is None
    else:
        assert (int(chosen.simulation.usd), chosen.simulation.served["refused"]) == min(able)


def log():
    return [
        TrafficRecord(
            at=START + timedelta(hours=hour),
            model="gpt-4.1-nano",
            messages=[{"role": "user", "content": "What is it?"}],
            answer="It is I, and nothing else.",
            usage=Usage(input_tokens=10, output_tokens=10),
            attribution=Attribution(user="ada"),
        )
        for hour in range(10)
    ]


def plans(settings, name, *values):
    return {value: settings.with_value(name, value).plan for value in values}


def test_a_longer_life_costs_less_and_a_lower_limit_refuses_more():
    cached = sweep(log(), "cache.ttl_s", plans(Settings(), "cache.ttl_s", "5000", "20000", "100000"))
    assert [point.simulation.served["exact"] for point in cached.points] == [5, 8, 9]
    limited = Settings.load('[[budgets.limits]]\nscope = "user"\ncalls = 9\n')
    name = "budgets.limits.0.calls"
    refused = sweep(log(), name, plans(limited, name, "2", "6", "20"))
    assert [point.simulation.worse_share for point in refused.points] == [0.8, 0.4, 0.0]
    assert refused.cheapest(0.5).value == "6"
    assert refused.cheapest(0.0).value == "20"


def test_each_value_is_told_as_soon_as_it_is_done():
    heard = []
    sweep(log(), "cache.ttl_s", plans(Settings(), "cache.ttl_s", "1", "2"), on_point=heard.append)
    assert [point.value for point in heard] == ["1", "2"]


def test_a_sweep_without_values_is_refused():
    with pytest.raises(ConfigurationError, match="needs values"):
        sweep(log(), "cache.ttl_s", {})


def test_the_picture_is_well_formed_and_says_each_value_in_words():
    result = Sweep("cache.<x>", (SweepPoint("<a>", made(3, 1)), SweepPoint("b", made(2, 4))))
    root = ET.fromstring(result.to_svg())
    said = "".join(root.itertext())
    assert "<a>: $3.00, 1% served worse" in said
    assert root.attrib["role"] == "img"
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 2
    alone = Sweep("cache.x", (SweepPoint("a", made(0, 0)),))
    assert ET.fromstring(alone.to_svg()) is not None


def test_it_is_shown_as_a_table_and_as_plain_values():
    result = swept([(3, 1), (2, 4), (4, 4)])
    text = to_text(result.table())
    assert "0 *" in text
    assert "2 *" not in text
    assert json.loads(json.dumps(result.to_dict()))["frontier"] == ["0", "1"]
    assert "<svg" in result._repr_html_()
    assert "cache.x" in repr(result)
    assert "served worse" in str(result)
