"""Whatever a log holds, an audit reads it: odd values count as unknown, and no prompt is kept."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.traffic.audit_samples import DAY, START, call, waste
from tokenomics_core import Attribution, Usage
from tokenomics_core.traffic import (
    AuditPart,
    TrafficRecord,
    audit_partition,
    audit_traffic,
    read_traffic,
    write_traffic,
)
from tokenomics_core.traffic._near_search import _nearest_of_few, _nearest_of_many

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "odd"])},
        optional={"content": json_values, "tool_calls": json_values, "name": st.text(max_size=5)},
    ),
    max_size=5,
)
counts = st.none() | st.integers(0, 2**40)


@given(
    messages=st.none() | messages,
    tool_calls=st.lists(
        st.dictionaries(st.sampled_from(["id", "function", "name"]), json_values), max_size=2
    ),
    answer=st.none() | st.text(max_size=50),
    settings_=st.dictionaries(st.sampled_from(["temperature", "n", "max_tokens", "stop"]), json_values),
    cost=st.none() | st.decimals(),
    latency=st.none() | st.floats(),
    tokens=st.tuples(counts, counts, counts),
    source=st.sampled_from(["model", "cache", "batch"]),
)
@settings(max_examples=150, deadline=None)
def test_any_call_can_be_audited(messages, tool_calls, answer, settings_, cost, latency, tokens, source):
    records = [
        TrafficRecord(
            at=START,
            model=model,
            usage=Usage(input_tokens=tokens[0], output_tokens=tokens[1], cache_read_tokens=tokens[2]),
            messages=messages,
            answer=answer,
            tool_calls=tool_calls,
            settings=settings_,
            cost_usd=cost,
            latency_s=latency,
            source=source,
            attribution=Attribution(run="r"),
        )
        for model in ("gpt-4o", "nobody-knows")
    ]
    audit = audit_traffic(records * 2)
    assert audit.rows == 4
    assert 0 <= audit.avoidable_usd <= audit.total_usd
    assert all(finding.usd > 0 for finding in audit.wastes)


@pytest.mark.parametrize(
    "odd",
    [
        {"messages": [{"role": "system", "content": ""}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        {"latency_s": float("nan")},
        {"latency_s": 1e300},
        {"cost_usd": Decimal("NaN")},
        {"cost_usd": Decimal(-1)},
        {"usage": Usage(input_tokens=2**40, output_tokens=1)},
        {"text": "lone surrogate \ud800"},
        {"user": ""},
    ],
    ids=[
        *("nothing said", "a picture", "no latency", "an endless one", "no cost", "a negative cost"),
        *("more tokens than there are", "half a character", "a user without a name"),
    ],
)
def test_odd_values_do_not_stop_an_audit(odd, tmp_path):
    part = audit_partition([call(0, **odd), call(1)])
    part.save(tmp_path / "part.npz")
    assert AuditPart.load(tmp_path / "part.npz").rows == 2
    assert audit_traffic([call(0, **odd), call(1)]).rows == 2


def test_of_texts_only_short_questions_are_kept(tmp_path):
    secret = "the launch code is open sesame"
    records = [
        call(0, "How do I log in?", system=f"Instructions with a secret: {'word ' * 60} {secret}"),
        call(1, f"{'A long text. ' * 300}{secret}"),
        call(2, answer=secret),
    ]
    audit_partition(records).save(tmp_path / "part.npz")
    held = (tmp_path / "part.npz").read_bytes()
    assert b"How do I log in?" in held
    assert secret.encode() not in held


def test_the_label_of_a_beginning_says_no_more_than_calls_share():
    calls = [
        call(n, f"Please summarise the following letter: patient {name} has a rare disease", system="")
        for n, name in enumerate(("Ada", "Bob", "Eve", "Max"))
    ]
    [line] = audit_traffic(calls).by("template")
    assert line.label == "Please summarise the following letter:"


def test_a_call_through_a_batch_endpoint_is_priced_as_one_and_no_waste():
    batch = audit_traffic([call(0, source="batch"), call(60, source="batch")])
    assert batch.total_usd == audit_traffic([call(0)]).total_usd
    assert batch.wastes == ()


def test_what_a_reader_counted_is_in_its_part(tmp_path):
    log = tmp_path / "log.jsonl"
    write_traffic([call(0)], log)
    with log.open("a") as file:
        file.write("no call\n")
    part = audit_partition(read_traffic(log))
    assert (part.rows, part.bad, len(part.problems)) == (1, 1, 1)


def test_the_nearest_of_many_are_nearly_always_those_of_a_full_comparison():
    things = (
        "kettle",
        "parcel",
        "invoice",
        "voucher",
        "lamp",
        "account",
        "password",
        "bicycle",
        "order",
        "tent",
    )
    asks = ("How do I return my {}?", "Where is my {}?", "Can I change the {}?", "Who repairs a {}?")
    colours = (
        "red",
        "blue",
        "green",
        "small",
        "old",
        "new",
        "broken",
        "lost",
        "paid",
        "late",
        "cheap",
        "big",
    )
    towns = ("in Porto", "in Lyon", "in Graz", "near Bonn", "for Oslo")
    texts = [
        ask.format(f"{colour} {thing} {town}")
        for ask in asks
        for thing in things
        for colour in colours
        for town in towns
    ]
    from tokenomics_core.embedding import StaticEmbedder

    full, _ = _nearest_of_few(StaticEmbedder().embed(texts))
    listed, similarities = _nearest_of_many(texts)
    hits = sum(int(best) in row[:4] for best, row in zip(full[:, 0], listed.tolist(), strict=True))
    assert hits / len(texts) > 0.95
    assert similarities.max() <= 1


def test_many_questions_in_one_partition_are_searched_through():
    """More wordings than are compared one with each other, and one of them asked anew."""
    calls = [call(float(n), f"What does {word}{tail} mean?") for n, (word, tail) in enumerate(_words(1_600))]
    calls.append(call(DAY, "How can I reset my password?"))
    before = waste("near_repeats", calls)
    calls.append(call(2 * DAY, "How do I reset my password?"))
    assert waste("near_repeats", calls).calls == (before.calls if before else 0) + 1


def _words(count):
    letters = "bcdfghklmnprstvz"
    for n in range(count):
        one, two = divmod(n, 256)
        yield f"{letters[one % 16]}a{letters[two // 16]}o{letters[two % 16]}u", "rine" if one else "lent"
