"""Generated traffic is believable, the same for the same seed, and wastes exactly what it says."""

from __future__ import annotations

import json
import re
import statistics
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice, pairwise

import pytest

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook
from tokenomics_core.routing import DifficultyClassifier
from tokenomics_core.tokens import count_tokens
from tokenomics_core.traffic import WastePlan, generate_traffic

KINDS = tuple(WastePlan().shares())
MILLION = Decimal(1_000_000)


@pytest.fixture(scope="module", params=[1, 2])
def wasteful(request):
    generator = generate_traffic(2000, seed=request.param)
    records = list(generator)
    return records, generator.truth


@pytest.fixture(scope="module")
def clean():
    generator = generate_traffic(1500, seed=3, waste=WastePlan.none())
    records = list(generator)
    return records, generator.truth


def request_of(record):
    return json.dumps(
        [record.model, record.attribution.project, record.settings, record.tools, record.messages],
        sort_keys=True,
        default=list,
    )


def usd(records):
    return sum((record.cost_usd for record in records), Decimal(0))


def agrees(truth, kind, found):
    """Compare calls that were found by a definition with those that were planted."""
    assert found, kind
    assert {record.id for record in found} == set(truth.wastes[kind].ids)
    assert len(found) == truth.wastes[kind].calls


# what was planted, found again by the definitions


def exact_repeats(records):
    seen, found = {}, []
    for record in records:
        if record.source != "model" or record.outcome != "ok" or record.tool_calls:
            continue
        key = request_of(record)
        if key in seen and record.at - seen[key] <= timedelta(days=7):
            found.append(record)
        seen[key] = record.at
    return found


def runaways(records):
    times, found = defaultdict(Counter), []
    for record in records:
        if record.attribution.run is None:
            continue
        if max(times[record.attribution.run].values(), default=0) >= 3:
            found.append(record)
        for call in record.tool_calls:
            function = call["function"]
            times[record.attribution.run][function["name"], function["arguments"]] += 1
    return found


def retries(records):
    found = []
    for place, record in enumerate(records):
        if record.outcome == "ok" or not record.cost_usd:
            continue
        for later in records[place + 1 :]:
            if later.at - record.at > timedelta(seconds=60):
                break
            same_user = later.attribution.user == record.attribution.user
            if same_user and request_of(later) == request_of(record):
                found.append(record)
                break
    return found


def test_exact_repeats_are_those_that_equal_an_earlier_call(wasteful):
    records, truth = wasteful
    found = exact_repeats(records)
    agrees(truth, "exact_repeats", found)
    assert truth.wastes["exact_repeats"].usd == usd(found)


def test_runaways_are_the_calls_after_the_third_of_the_same_kind(wasteful):
    records, truth = wasteful
    found = runaways(records)
    agrees(truth, "runaway_runs", found)
    assert truth.wastes["runaway_runs"].usd == usd(found)


def test_retries_are_failed_calls_that_were_sent_again_within_a_minute(wasteful):
    records, truth = wasteful
    found = retries(records)
    agrees(truth, "retries", found)
    assert truth.wastes["retries"].usd == usd(found)


def test_near_repeats_are_first_turns_about_a_thing_that_was_asked_about_before(wasteful):
    records, truth = wasteful
    repeats = {record.id for record in exact_repeats(records)}
    seen, found = set(), []
    for record in records:
        if record.attribution.feature != "support_chat" or len(record.messages) > 2 or record.id in repeats:
            continue
        number = re.search(r"\d{8}", record.messages[-1]["content"]).group()
        if number in seen:
            found.append(record)
        seen.add(number)
    planted = truth.wastes["near_repeats"]
    assert set(planted.ids) < {record.id for record in found}
    assert planted.calls == len(planted.ids)
    assert planted.calls + planted.doubted_calls == len(found)
    assert planted.usd + planted.doubted_usd == usd(found)


def test_repeats_in_other_words_are_planted_whether_or_not_a_cache_sees_them(wasteful):
    planted = wasteful[1].wastes["near_repeats"]
    assert 0.1 < planted.doubted_calls / (planted.calls + planted.doubted_calls) < 0.5


def test_unstable_prefixes_are_priced_by_what_a_cache_would_have_read(wasteful):
    records, truth = wasteful
    saved, before, found = Decimal(0), None, []
    for record in records:
        system = record.messages[0]["content"]
        if not system.startswith("Current time: "):
            continue
        stable = system.split("\n\n", 1)[1]
        if before is not None and record.at - before <= timedelta(minutes=5):
            # gpt-4.1-mini: $0.40 a million, $0.10 from the cache, and writing it costs nothing
            saved += count_tokens(stable, record.model) * (Decimal("0.4") - Decimal("0.1")) / MILLION
            found.append(record)
            assert count_tokens(stable, record.model) >= 1024
        before = record.at
    agrees(truth, "unstable_prefix", found)
    assert truth.wastes["unstable_prefix"].usd == saved


def test_oversized_contexts_hold_passages_twice_or_of_something_else(wasteful):
    records, truth = wasteful
    repeated, stray, saved = 0, 0, Decimal(0)
    planted = set(truth.wastes["oversized_context"].ids)
    empty = {"the", "and", "for", "from", "with", "that", "which"}
    for record in records:
        if record.attribution.feature != "handbook_search":
            continue
        text = record.messages[-1]["content"]
        passages = re.findall(r"\[\d+\] (.*?)\n\n", text)
        question = text.split("Question: ")[1] + " " + (record.answer or "")
        words = set(re.findall(r"[a-z]{3,}", question.lower())) - empty
        twice = [text for place, text in enumerate(passages) if text in passages[:place]]
        alien = [text for text in passages if not words & set(re.findall(r"[a-z]{3,}", text.lower()))]
        assert bool(twice or alien) == (record.id in planted) or record.id in {
            repeat.id for repeat in exact_repeats(records)
        }
        if record.id in planted:
            repeated, stray = repeated + bool(twice), stray + bool(alien)
            tokens = sum(count_tokens(text, record.model) for text in twice + alien)
            saved += tokens * Decimal("0.3") / MILLION  # gemini-2.5-flash: $0.30 a million
    assert repeated
    assert stray
    assert truth.wastes["oversized_context"].usd == saved


def test_a_dear_model_is_wasted_on_what_the_classifier_finds_easy_and_used_on_what_is_hard(wasteful):
    records, truth = wasteful
    easy = set(truth.wastes["dear_model"].ids)
    classifier = DifficultyClassifier.pretrained()
    dear = [record for record in records if record.model == "gpt-4.1"]
    gains = classifier.predict([record.messages[-1]["content"] for record in dear])
    assert all((gain < 0.1) == (record.id in easy) for record, gain in zip(dear, gains, strict=True))
    assert all(gain < 0.1 or gain > 0.15 for gain in gains)
    saved = sum(
        (record.usage.input_tokens * Decimal("1.6") + record.usage.output_tokens * Decimal("6.4")) / MILLION
        for record in dear
        if record.id in easy
    )  # $2 and $8 a million against $0.40 and $1.60
    assert truth.wastes["dear_model"].usd == saved
    models = Counter(record.model for record in records if record.provider == "openai")
    assert models.most_common(1)[0][0] == "gpt-4.1-mini"


def test_unbounded_outputs_are_letters_many_times_as_long_as_others(wasteful):
    records, truth = wasteful
    letters = [
        record
        for record in records
        if record.attribution.feature == "mail_drafting" and record.outcome == "ok"
    ]
    lengths = [record.usage.output_tokens for record in letters]
    high = statistics.quantiles(lengths, n=20, method="inclusive")[-1]
    found = [
        record for record in letters if record.usage.output_tokens > max(high, 4 * statistics.median(lengths))
    ]
    agrees(truth, "unbounded_outputs", found)
    saved = sum(record.usage.output_tokens - Decimal(str(high)) for record in found) * Decimal("1.6")
    assert abs(truth.wastes["unbounded_outputs"].usd - saved / MILLION) < Decimal("1e-12")


def test_nights_come_at_the_same_time_and_would_cost_half_in_a_batch(wasteful):
    records, truth = wasteful
    nights = defaultdict(list)
    for record in records:
        if record.attribution.feature == "ticket_labels":
            nights[record.at.date()].append(record)
    found = [record for night in nights.values() if len(night) >= 50 for record in night]
    agrees(truth, "batchable", found)
    assert truth.wastes["batchable"].usd == usd(found) / 2
    assert len(nights) >= 3
    starts = [night[0].at.hour * 60 + night[0].at.minute for night in nights.values()]
    assert max(starts) - min(starts) <= 15
    assert all(night[-1].at - night[0].at < timedelta(minutes=10) for night in nights.values())
    assert all(record.attribution.conversation is None for record in found)


# what every call looks like


def test_costs_are_those_of_the_price_book_and_add_up(wasteful, clean):
    book = PriceBook()
    for records, truth in (wasteful, clean):
        for record in records:
            assert (
                record.cost_usd == book.cost(record.usage, record.model, record.provider, record.at).total_usd
            )
        assert truth.total_usd == sum(record.cost_usd or 0 for record in records)


def test_input_is_what_the_token_counter_counts(clean):
    records, _ = clean
    exact = [record for record in records if record.model.startswith("gpt") and record.usage.is_reported]
    for record in exact[:150]:
        counted = count_tokens(record.messages, record.model, tools=record.tools, download="never")
        assert abs(record.usage.input_tokens - counted) <= 2 + len(record.messages), record.id


def test_calls_come_in_time_order_with_ids_of_their_own(wasteful):
    records, truth = wasteful
    assert all(one.at <= other.at for one, other in pairwise(records))
    assert len({record.id for record in records}) == len(records) == truth.calls == 2000
    assert (records[0].at, records[-1].at) == (truth.first_at, truth.last_at)
    assert 10 < truth.span_days < 18


def test_the_same_seed_gives_the_same_calls_and_another_seed_others():
    first = list(generate_traffic(500, seed=5))
    assert list(generate_traffic(500, seed=5)) == first
    assert list(generate_traffic(500, seed=6)) != first


def test_days_have_a_rhythm(clean):
    hours = Counter(record.at.hour for record in clean[0] if record.source == "model")
    assert sum(hours[hour] for hour in range(9, 18)) > 3 * sum(hours[hour] for hour in range(6))


# clean traffic


def test_clean_traffic_wastes_nothing(clean):
    records, truth = clean
    assert [truth.wastes[kind].calls for kind in KINDS] == [0] * len(KINDS)
    assert not exact_repeats(records)
    assert not runaways(records)
    assert not retries(records)
    texts = [record.messages[0]["content"] for record in records]
    assert not any(text.startswith("Current time") for text in texts)


def test_clean_traffic_has_talks_tools_errors_caching_and_batches(clean):
    records, _ = clean
    assert max(len(record.messages) for record in records if record.attribution.feature == "support_chat") > 6
    assert any(record.tool_calls for record in records)
    assert 0 < sum(record.outcome != "ok" for record in records) < 0.02 * len(records)
    assert any(record.usage.cache_read_tokens for record in records)
    assert any(record.usage.cache_write_tokens for record in records)
    assert all(
        record.usage.batch and record.source == "batch"
        for record in records
        if record.attribution.feature == "ticket_labels"
    )
    assert len({record.model for record in records}) >= 4
    assert len({record.attribution.user for record in records}) > 100


def test_answers_of_a_feature_are_long_without_being_outliers(clean):
    by_feature = defaultdict(list)
    for record in clean[0]:
        if record.usage.output_tokens:
            by_feature[record.attribution.feature].append(record.usage.output_tokens)
    assert max(max(lengths) for lengths in by_feature.values()) > 500
    assert all(max(lengths) < 4 * statistics.median(lengths) for lengths in by_feature.values())


def test_a_refused_call_costs_nothing_known_and_is_not_sent_again(clean):
    refused = [record for record in clean[0] if record.outcome == "error"]
    assert refused
    assert all(record.cost_usd is None and record.answer is None for record in refused)


# one kind at a time, and refusals


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_can_be_planted_alone(kind):
    generator = generate_traffic(1200, seed=7, waste=WastePlan.only(kind))
    records = list(generator)
    planted = {name for name, waste in generator.truth.wastes.items() if waste.calls}
    assert planted == {kind}
    assert generator.truth.wastes[kind].usd > 0
    assert generator.truth.usd_per_month(kind) > generator.truth.wastes[kind].usd
    assert len(records) == 1200


def test_the_truth_is_of_what_was_taken_so_far():
    generator = generate_traffic(1200, seed=8)
    assert generator.truth.calls == 0
    list(islice(generator, 300))
    assert generator.truth.calls == 300
    json.dumps(generator.truth.to_dict())


def test_a_start_in_another_zone_keeps_its_zone_and_its_nights():
    zone = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
    records = list(generate_traffic(800, seed=9, start=zone, days=7))
    assert records[0].at >= zone
    nights = {record.at.hour for record in records if record.attribution.feature == "ticket_labels"}
    assert nights == {2}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n": -1}, "n must be 0 or more"),
        ({"users": 0}, "users 1 or more"),
        ({"days": 0.5}, "days from 1"),
        ({"start": datetime(2026, 1, 1)}, "needs a time zone"),
        ({"n": 100}, "nights of 60 calls need 360 calls"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    values = {"n": 1000, "seed": 1} | arguments
    with pytest.raises(ConfigurationError, match=words):
        generate_traffic(values.pop("n"), **values)


def test_wrong_plans_are_refused():
    with pytest.raises(ConfigurationError, match="no waste called thrift"):
        WastePlan.only("thrift")
    with pytest.raises(ConfigurationError, match=r"retries must be from 0 to 0.2, not 0.5"):
        WastePlan(retries=0.5)
    with pytest.raises(ConfigurationError, match=r"unbounded_outputs must be from 0 to 0.004"):
        replace(WastePlan.none(), unbounded_outputs=0.1)


def test_no_calls_are_no_calls():
    generator = generate_traffic(0, seed=1, waste=WastePlan.none())
    assert list(generator) == []
    assert generator.truth.total_usd == 0
