"""A call that several spans tell of is counted once, whatever the order in which they come."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.core.traffic.read_samples import call
from tokenomics_core import Attribution, Usage
from tokenomics_core.traffic._read_spans import Span, Traces

USED = Usage(input_tokens=100, output_tokens=10)


def span(name, parent=None, *, trace="t", calls=False, used=USED, tool=False, **changes):
    record = replace(call(0, id=name, usage=used), **changes) if calls else None
    return Span(trace=trace, id=name, parent=parent, name=f"the {name}", record=record, is_tool=tool)


def ids(spans, max_waiting=100):
    traces = Traces(max_waiting)
    found = [record for item in spans for record in traces.add(item)]
    found += traces.finish()
    return [record.id for record in found], traces


@st.composite
def trees(draw):
    n = draw(st.integers(1, 9))
    spans = []
    for number in range(n):
        parent = draw(st.none() | st.integers(0, number - 1)) if number else None
        spans.append(
            span(
                str(number),
                None if parent is None else str(parent),
                calls=draw(st.booleans()),
                tool=draw(st.sampled_from([False, False, True])),
            )
        )
    return spans


def counted_slowly(spans):
    """Return the calls with no other call inside, where a tool's work is not inside the call around it."""
    by_id = {item.id: item for item in spans}

    def has_call_inside(outer):
        for item in spans:
            if item.record is None or item is outer:
                continue
            parent = item.parent
            while parent is not None and not by_id[parent].is_tool and parent != outer.id:
                parent = by_id[parent].parent
            if parent == outer.id and not outer.is_tool:
                return True
        return False

    return {item.id for item in spans if item.record is not None and not has_call_inside(item)}


@given(spans=trees(), seed=st.integers(0, 9))
def test_the_innermost_calls_are_counted_in_any_order(spans, seed):
    shuffled = list(spans)
    random.Random(seed).shuffle(shuffled)
    found, traces = ids(shuffled)
    assert set(found) == counted_slowly(spans)
    assert len(found) == len(set(found))
    assert traces.wrappers + len(found) == sum(item.record is not None for item in spans)


def test_the_inner_call_gets_what_only_the_outer_one_knows():
    outer = span("outer", calls=True, used=Usage(input_tokens=1), cost_usd=Decimal("0.5"), settings={"n": 1})
    inner = span("inner", "outer", calls=True, messages=None, answer=None)
    for order in ([outer, inner], [inner, outer]):
        traces = Traces()
        (found,) = [record for item in order for record in traces.add(item)] + list(traces.finish())
        assert found.id == "inner"
        assert found.usage == USED
        assert found.answer == "answer 0"
        assert found.messages == outer.record.messages
        assert (found.cost_usd, found.settings) == (Decimal("0.5"), {"n": 1})


def test_two_calls_inside_share_nothing_of_the_outer_one():
    outer = span("outer", calls=True, cost_usd=Decimal("0.5"))
    traces = Traces()
    for item in (outer, span("a", "outer", calls=True), span("b", "outer", calls=True)):
        assert list(traces.add(item)) == []
    assert [(record.id, record.cost_usd) for record in traces.finish()] == [("a", None), ("b", None)]


def test_where_the_inner_call_reports_no_tokens_the_outer_one_counts():
    outer, inner = span("outer", calls=True), span("inner", "outer", calls=True, used=Usage())
    assert ids([inner, outer])[0] == ["outer"]


def test_a_call_that_a_tool_makes_is_not_the_call_that_called_the_tool():
    spans = [span("agent", calls=True), span("tool", "agent", tool=True), span("inside", "tool", calls=True)]
    for order in itertools.permutations(spans):
        assert set(ids(order)[0]) == {"agent", "inside"}


def test_who_a_call_is_for_is_found_around_it():
    far = Attribution(user="ada", run="mine", conversation="far", tags={"a": "far"})
    root = Span(trace="t", id="r", name="answer a question", attribution=far)
    middle = Span(trace="t", id="m", parent="r", attribution=Attribution(conversation="c", tags={"a": "1"}))
    inner = span("i", "m", calls=True, attribution=Attribution(user="bob"))
    traces = Traces()
    for item in (inner, root, middle):
        assert list(traces.add(item)) == []
    (found,) = traces.finish()
    assert found.attribution == Attribution(
        user="bob", feature="answer a question", conversation="c", run="mine", tags={"a": "1"}
    )


def test_the_trace_is_the_run_and_a_lone_call_names_no_feature():
    (found,) = list(_finished([span("only", calls=True)]))
    assert found.attribution == Attribution(run="t")


def _finished(spans):
    traces = Traces()
    for item in spans:
        yield from traces.add(item)
    yield from traces.finish()


def test_a_span_that_comes_twice_counts_once():
    assert ids([span("a", calls=True), span("a", calls=True)])[0] == ["a"]
    traces = Traces(max_waiting=10)
    repeated = [span("first", trace="u", calls=True), *[span("a", calls=True)] * 50]
    assert [record for item in repeated for record in traces.add(item)] == []


def test_so_many_spans_wait_and_the_oldest_traces_go_first():
    spans = [span(f"{n}", trace=f"t{n}", calls=True) for n in range(50)]
    traces = Traces(max_waiting=10)
    early = [record.id for item in spans for record in traces.add(item)]
    assert early == [str(n) for n in range(40)]
    assert [record.id for record in traces.finish()] == [str(n) for n in range(40, 50)]


def test_spans_that_name_each_other_as_parents_do_not_hang():
    found, _ = ids([span("a", "b", calls=True), span("b", "a"), span("c", "c", calls=True)])
    assert set(found) == {"a", "c"}
