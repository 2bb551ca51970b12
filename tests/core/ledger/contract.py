"""What every ledger must do: one suite, run on each implementation."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.core.ledger.samples import (
    NOON,
    assert_totals,
    by_user,
    call,
    exact_pico,
    instants,
    pico,
    records,
    start_of,
)
from tokenomics_core import Attribution, ConfigurationError, StoreError, Totals, Usage
from tokenomics_core.ledger import Ledger
from tokenomics_core.ledger._base import BaseLedger
from tokenomics_core.types import DIMENSIONS, dimension_of


class LedgerContract(ABC):
    """Derive, say how to make a ledger, and the suite runs on it."""

    @abstractmethod
    def make(self, **options) -> BaseLedger:
        """Return a new, empty ledger; the suite closes it."""

    several: ClassVar[settings] = settings(
        max_examples=60, deadline=None, suppress_health_check=list(HealthCheck)
    )

    # Sums

    @several
    @given(
        kept=st.lists(records(), max_size=12), dimension=st.sampled_from([*DIMENSIONS, "small", "a/b:c@d"])
    )
    def test_every_sum_equals_the_sum_of_the_rounded_records(self, kept, dimension):
        with self.make() as ledger:
            for record in kept:
                ledger.record(record)
            assert_totals(ledger.totals(), kept)
            assert Fraction(ledger.total()) == sum(Fraction(pico(record.cost_usd), 10**12) for record in kept)
            groups = defaultdict(list)
            for record in kept:
                groups[dimension_of(record, dimension) or ""].append(record)
            by_dimension = ledger.totals_by(dimension)
            assert list(by_dimension) == sorted(
                groups, key=lambda value: (-by_dimension[value].cost_usd, value)
            )
            assert list(ledger.by(dimension)) == list(by_dimension)
            for value, theirs in groups.items():
                assert_totals(by_dimension[value], theirs)
                assert ledger.by(dimension)[value] == by_dimension[value].cost_usd
                assert_totals(ledger.totals(**{dimension: value}), theirs)

    @several
    @given(
        kept=st.lists(records(), max_size=8),
        bounds=st.tuples(instants, instants),
        bucket=st.sampled_from(["hour", "day", "week", "month"]),
        zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"]),
    )
    def test_buckets_split_a_span_of_time_without_losing_anything(self, kept, bounds, bucket, zone):
        since, until = sorted(at.astimezone(UTC) for at in bounds)
        with self.make() as ledger:
            for record in kept:
                ledger.record(record)
            inside = [record for record in kept if since <= record.at.astimezone(UTC) < until]
            groups = ledger.totals_by(bucket=bucket, timezone=zone, since=since, until=until)
            expected = defaultdict(list)
            for record in inside:
                expected[start_of(record.at, bucket, zone)].append(record)
            assert list(groups) == sorted(expected)
            for start, theirs in expected.items():
                assert_totals(groups[start], theirs)

    def test_sums_do_not_depend_on_the_ambient_decimal_precision(self):
        with self.make() as ledger, localcontext(prec=3):
            ledger.record(call("1234.567891234567"))
            ledger.record(call("0.000000000001"))
            assert ledger.total() == Decimal("1234.567891234568")

    def test_a_sum_may_pass_64_bits_although_no_record_does(self):
        with self.make() as ledger:
            for _ in range(3):
                ledger.record(call("9223372.036854775807"))
            assert ledger.total() == Decimal("27670116.110564327421")

    @pytest.mark.parametrize(
        ("cost_usd", "kept"),
        [("5E-13", "0"), ("15E-13", "2E-12"), ("25E-13", "2E-12"), ("-15E-13", "-2E-12"), ("1E-30", "0")],
    )
    def test_a_cost_finer_than_a_pico_dollar_is_rounded_half_to_even(self, cost_usd, kept):
        with self.make() as ledger:
            ledger.record(call(cost_usd))
            assert ledger.total() == Decimal(kept)
            assert [record.cost_usd for record in ledger.records()] == [Decimal(kept)]

    def test_an_empty_ledger_sums_to_nothing(self):
        with self.make() as ledger:
            assert ledger.total() == 0
            assert ledger.totals().calls == 0
            assert ledger.by("user") == {}
            assert ledger.totals_by(bucket="day") == {}
            assert list(ledger.records()) == []

    def test_an_unknown_cost_is_counted_and_adds_nothing(self):
        with self.make() as ledger:
            ledger.record(call(None))
            ledger.record(call("0.5"))
            assert ledger.total() == Decimal("0.5")
            assert ledger.totals().unpriced_calls == 1
            assert [record.cost_usd for record in ledger.records()] == [None, Decimal("0.5")]

    def test_keys_of_several_dimensions_and_a_bucket_are_tuples(self):
        with self.make() as ledger:
            ledger.record(by_user("ada"))
            ledger.record(by_user(None, model="large"))
            assert list(ledger.totals_by(("model", "user"))) == [("large", ""), ("small", "ada")]
            day = datetime(2026, 11, 3, tzinfo=UTC)
            assert list(ledger.totals_by("model", bucket="day")) == [(day, "large"), (day, "small")]
            assert next(iter(ledger.totals_by(("model", "user"), bucket="day"))) == (day, "large", "")

    def test_the_repeated_hour_in_autumn_stays_two_hours(self):
        first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 summer time in Berlin
        with self.make() as ledger:
            ledger.record(call("1", at=first))
            ledger.record(call("2", at=first + timedelta(hours=1)))
            hours = ledger.totals_by(bucket="hour", timezone="Europe/Berlin")
            assert [start.isoformat() for start in hours] == [
                "2026-10-25T02:00:00+02:00",
                "2026-10-25T02:00:00+01:00",
            ]
            assert [totals.cost_usd for totals in hours.values()] == [1, 2]

    # Filters

    def test_since_is_included_and_until_is_not(self):
        with self.make() as ledger:
            ledger.record(call("1", at=NOON))
            ledger.record(call("2", at=NOON + timedelta(microseconds=1)))
            assert ledger.total(since=NOON, until=NOON + timedelta(microseconds=1)) == 1
            assert ledger.total(since=NOON + timedelta(microseconds=1)) == 2
            assert ledger.total(since=NOON, until=NOON) == 0

    def test_none_and_the_empty_string_both_ask_for_records_without_a_value(self):
        with self.make() as ledger:
            ledger.record(by_user(None, "1"))
            ledger.record(by_user("", "2"))
            ledger.record(by_user("ada", "4"))
            assert ledger.total(user=None) == ledger.total(user="") == ledger.by("user")[""] == 3
            assert ledger.total(team=None) == 7

    def test_filters_join_dimensions_tags_and_time(self):
        gold = Attribution(user="ada", tags={"user_tier": "gold"})
        with self.make() as ledger:
            ledger.record(call("1", attribution=gold))
            ledger.record(call("2", attribution=gold, model="large"))
            ledger.record(call("4", attribution=gold, at=NOON - timedelta(days=1)))
            ledger.record(by_user("ada", "8"))
            assert ledger.total(user="ada", user_tier="gold", model="small", since=NOON) == 1
            assert ledger.by("user_tier") == {"": 8, "gold": 7}

    def test_a_dimension_wins_over_a_tag_of_its_name(self):
        with self.make() as ledger:
            ledger.record(call(attribution=Attribution(user="ada", tags={"user": "bob", "model": "tag"})))
            assert list(ledger.by("user")) == ["ada"]
            assert list(ledger.by("model")) == ["small"]

    @pytest.mark.parametrize("key", ['a"b', "a\\b", "a.b", "$", "new\nline", "日本", "a'b", "[0]", "%", ""])
    def test_any_key_of_a_tag_can_be_asked_for(self, key):
        with self.make() as ledger:
            ledger.record(call("1", attribution=Attribution(tags={key: "x", "other": "y"})))
            assert ledger.total(**{key: "x"}) == 1
            assert ledger.total(**{key: "y"}) == 0
            if key:
                assert ledger.by(key) == {"x": 1}

    # Records

    @several
    @given(kept=st.lists(records(), max_size=6))
    def test_records_come_back_in_the_order_of_time_and_equal_up_to_rounding(self, kept):
        with self.make() as ledger:
            for record in kept:
                ledger.record(record)
            expected = [
                replace(
                    record,
                    at=record.at.astimezone(UTC),  # times of one zone compare by the clock on the wall
                    cost_usd=None if record.cost_usd is None else exact_pico(record.cost_usd),
                    avoided_usd=None if record.avoided_usd is None else exact_pico(record.avoided_usd),
                )
                for record in sorted(kept, key=lambda record: record.at.astimezone(UTC))
            ]
            assert list(ledger.records()) == expected
            assert all(record.at.tzinfo is UTC for record in ledger.records())

    def test_the_same_id_a_second_time_changes_nothing(self):
        record = call("1")
        with self.make() as ledger:
            ledger.record(record)
            ledger.record(record)
            ledger.record(replace(record, cost_usd=Decimal(5), model="large"))
            assert ledger.total() == 1
            assert list(ledger.records()) == [record]

    def test_records_that_arrive_while_reading_are_left_out(self):
        with self.make() as ledger:
            ledger.record(call("1"))
            reading = ledger.records()
            ledger.record(call("2"))
            assert [record.cost_usd for record in reading] == [1]

    def test_many_records_come_back_whole(self):
        kept = [call("0.001", at=NOON + timedelta(seconds=index // 7)) for index in range(2500)]
        with self.make() as ledger:
            for record in kept:
                ledger.record(record)
            assert list(ledger.records()) == kept
            assert list(ledger.records(since=NOON + timedelta(seconds=300))) == kept[2100:]

    def test_content_is_not_kept_unless_asked(self):
        with self.make() as ledger:
            ledger.record(call(content="a secret question"))
            assert [record.content for record in ledger.records()] == [None]
        with self.make(keep_content=True) as ledger:
            ledger.record(call(content="a secret question"))
            assert [record.content for record in ledger.records()] == ["a secret question"]

    def test_characters_that_no_database_holds_are_replaced_everywhere(self):
        record = call(
            model="sm\0all",
            attribution=Attribution(user="a\ud800", tags={"k\0": "v\udfff"}),
            notes=("n\0",),
            content="c\0",
        )
        with self.make(keep_content=True) as ledger:
            ledger.record(record)
            (kept,) = ledger.records()
            assert kept.model == "sm\ufffdall"
            assert kept.attribution == Attribution(user="a\ufffd", tags={"k\ufffd": "v\ufffd"})
            assert (kept.notes, kept.content) == (("n\ufffd",), "c\ufffd")
            assert ledger.total(user="a\ud800") == ledger.total(**{"k\0": "v\udfff"}) == Decimal("0.25")
            assert ledger.forget(user="a\ud800") == 1

    # Forgetting and pruning

    def test_a_forgotten_user_leaves_the_bill_unchanged(self):
        theirs = Attribution(
            user="ada", feature="chat", project="p", conversation="c1", run="r1", tags={"email": "ada@x"}
        )
        with self.make(keep_content=True) as ledger:
            ledger.record(call("1", attribution=theirs, content="private"))
            ledger.record(by_user("bob", "2"))
            before = ledger.totals()
            assert ledger.forget(user="ada") == 1
            assert ledger.totals() == before
            assert ledger.by("user") == {"": 1, "bob": 2}
            (kept,) = ledger.records(feature="chat")
            assert kept.attribution == Attribution(feature="chat", project="p")
            assert kept.content is None
            assert ledger.forget(user="ada") == 0

    def test_a_deleted_user_leaves_the_sums(self):
        with self.make() as ledger:
            ledger.record(by_user("ada", "1"))
            ledger.record(by_user("bob", "2"))
            assert ledger.forget(user="ada", delete=True) == 1
            assert ledger.by("user") == {"bob": 2}

    @pytest.mark.parametrize("user", [None, "", 5])
    def test_forgetting_nobody_is_refused(self, user):
        with self.make() as ledger:
            ledger.record(by_user(None))
            with pytest.raises(ConfigurationError, match="nothing was forgotten"):
                ledger.forget(user=user)
            assert ledger.totals().calls == 1

    def test_pruning_deletes_what_is_older_than_an_age_by_the_given_clock(self):
        with self.make(clock=lambda: NOON) as ledger:
            for days in range(5):
                ledger.record(call("1", at=NOON - timedelta(days=days)))
            assert ledger.prune(timedelta(days=3)) == 1
            assert ledger.prune(NOON - timedelta(days=1)) == 2
            assert [record.at for record in ledger.records()] == [NOON - timedelta(days=1), NOON]

    def test_pruning_by_a_wrong_age_is_refused(self):
        with self.make(clock=lambda: NOON) as ledger:
            ledger.record(call())
            with pytest.raises(ConfigurationError, match="nothing was deleted"):
                ledger.prune(timedelta(days=-1))
            with pytest.raises(ConfigurationError, match="older_than must be a datetime with a time zone"):
                ledger.prune(datetime(2026, 1, 1))
            assert ledger.totals().calls == 1

    # Export and import

    def test_json_lines_bring_every_record_into_another_ledger_once(self, tmp_path):
        path = tmp_path / "records.jsonl"
        kept = [
            call("0.1", attribution=Attribution(user="ada", tags={"t": "x"}), notes=("n",)),
            call(None, source="batch", usage=Usage(cache_write_1h_tokens=3, extras={"web_searches": 2})),
            call("0", source="cache", avoided_usd=Decimal("0.1"), avoided_by="cache", latency_s=0.5),
        ]
        with self.make() as source, self.make() as target:
            for record in kept:
                source.record(record)
            assert source.to_jsonl(path) == 3
            target.record(kept[0])
            assert target.import_jsonl(path) == 2
            assert target.import_jsonl(path) == 0
            assert list(target.records()) == kept

    def test_a_broken_line_imports_nothing_and_is_named(self, tmp_path):
        path = tmp_path / "records.jsonl"
        path.write_text(json.dumps(call().to_dict()) + '\n\n{"at": "yesterday"}\n')
        with self.make() as ledger:
            with pytest.raises(StoreError, match=r"records\.jsonl line 3.*nothing was imported"):
                ledger.import_jsonl(path)
            assert ledger.totals().calls == 0
            with pytest.raises(StoreError, match="could not be read"):
                ledger.import_jsonl(tmp_path / "absent.jsonl")

    def test_csv_holds_every_record_with_amounts_to_the_last_digit(self, tmp_path):
        record = call(
            "0.000000000001",
            attribution=Attribution(user="ada, the first", tags={"t": 'x"y'}),
            usage=Usage(input_tokens=5, extras={"web_searches": 2}, batch=True),
            notes=("a", "b"),
        )
        with self.make() as ledger:
            ledger.record(record)
            ledger.record(call(None))
            assert ledger.to_csv(tmp_path / "records.csv") == 2
            stream = io.StringIO()
            ledger.to_csv(stream, user="ada, the first")
        text = (tmp_path / "records.csv").read_text(encoding="utf-8")
        priced, unpriced = csv.DictReader(io.StringIO(text))
        assert priced["cost_usd"] == "0.000000000001"
        assert (priced["user"], json.loads(priced["tags"])) == ("ada, the first", {"t": 'x"y'})
        assert (priced["input_tokens"], priced["output_tokens"]) == ("5", "")
        assert (priced["batch"], json.loads(priced["notes"])) == ("true", ["a", "b"])
        assert (priced["at"], unpriced["cost_usd"]) == ("2026-11-03T12:00:00+00:00", "")
        assert stream.getvalue() == "".join(text.splitlines(keepends=True)[:2])

    def test_an_export_that_cannot_be_written_says_so(self, tmp_path):
        with self.make() as ledger, pytest.raises(StoreError, match="the export is not complete"):
            ledger.to_csv(tmp_path / "absent" / "records.csv")

    def test_a_data_frame_holds_exact_money_or_floats_by_choice(self):
        pd = pytest.importorskip("pandas")
        with self.make() as ledger:
            ledger.record(call("0.1", attribution=Attribution(user="ada")))
            ledger.record(call(None, usage=Usage()))
            exact, floats = ledger.to_dataframe(), ledger.to_dataframe(money="float", user="ada")
            with pytest.raises(ConfigurationError, match="money must be"):
                ledger.to_dataframe(money="cents")
        assert exact["cost_usd"].tolist() == [Decimal("0.1"), None]
        assert exact["input_tokens"].sum() == 100
        assert exact["input_tokens"].isna().tolist() == [False, True]
        assert exact["at"].dt.tz is not None
        assert floats["cost_usd"].tolist() == [0.1]
        assert isinstance(exact, pd.DataFrame)

    # Concurrency

    def test_sixteen_threads_lose_no_record(self):
        with self.make() as ledger:
            start = threading.Barrier(16)

            def work(number: int) -> None:
                start.wait()
                for _ in range(25):
                    ledger.record(by_user(f"u{number}", "0.01"))

            threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert ledger.totals().calls == 400
            assert ledger.by("user") == {f"u{number}": Decimal("0.25") for number in range(16)}

    async def test_many_coroutines_record_at_once(self):
        with self.make() as ledger:
            await asyncio.gather(*(ledger.arecord(call("0.01")) for _ in range(200)))
            assert ledger.total() == 2

    # Refusals

    @pytest.mark.parametrize("amount", [Decimal("NaN"), Decimal("Infinity"), 0.5, "0.5"])
    @pytest.mark.parametrize("name", ["cost_usd", "avoided_usd"])
    def test_an_amount_that_is_no_finite_decimal_is_refused(self, name, amount):
        with self.make() as ledger:
            with pytest.raises(
                ConfigurationError, match=f"{name} must be a finite Decimal.*nothing was recorded"
            ):
                ledger.record(replace(call(), **{name: amount}))
            assert ledger.totals().calls == 0

    @pytest.mark.parametrize("amount", ["9223372.036854775808", "-9223372.0368547758075", "1E+400"])
    def test_an_amount_beyond_64_bits_is_refused(self, amount):
        with self.make() as ledger:
            with pytest.raises(ConfigurationError, match=r"9223372\.036854775807.*nothing was recorded"):
                ledger.record(call(amount))
            assert ledger.totals().calls == 0

    def test_a_senseless_count_of_tokens_is_refused(self):
        with self.make() as ledger, pytest.raises(ConfigurationError, match="input_tokens must be at most"):
            ledger.record(call(usage=Usage(input_tokens=10**12 + 1)))

    def test_a_model_that_is_no_text_is_refused(self):
        with (
            self.make() as ledger,
            pytest.raises(ConfigurationError, match="model must be a name, not None; nothing was recorded"),
        ):
            ledger.record(call(model=None))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"since": datetime(2026, 1, 1)}, "since must be a datetime with a time zone"),
            ({"until": "2026-01-01"}, "until must be a datetime with a time zone"),
            ({"since": NOON, "until": NOON - timedelta(days=1)}, "must not be later than"),
            ({"user": 5}, "user must be a string or None, not 5"),
        ],
    )
    def test_a_wrong_filter_is_refused(self, arguments, message):
        with self.make() as ledger:
            for ask in (ledger.total, ledger.totals, ledger.records):
                with pytest.raises(ConfigurationError, match=message):
                    ask(**arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "a dimension, a bucket, or both"),
            ({"dimension": ""}, "a dimension must be a name"),
            ({"dimension": 5}, "a dimension must be a name, or several in a tuple, not 5"),
            ({"dimension": ("user", 5)}, "a dimension must be a name, not 5"),
            ({"bucket": "fortnight"}, "bucket must be one of hour, day, week, month, not 'fortnight'"),
            ({"bucket": "day", "timezone": "Mars/Olympus"}, "IANA name .* not 'Mars/Olympus'"),
            ({"bucket": "day", "timezone": "../etc"}, "IANA name"),
        ],
    )
    def test_a_wrong_grouping_is_refused(self, arguments, message):
        with self.make() as ledger, pytest.raises(ConfigurationError, match=message):
            ledger.totals_by(**arguments)

    def test_what_is_no_record_is_refused_and_nothing_is_kept(self):
        with self.make() as ledger:
            with pytest.raises(ConfigurationError, match="SpendRecord, not 'x'; nothing was recorded"):
                ledger.record("x")
            assert ledger.totals() == Totals()

    def test_it_is_a_ledger_to_every_other_area(self):
        with self.make() as ledger:
            assert isinstance(ledger, Ledger)

    def test_closing_twice_is_harmless(self):
        ledger = self.make()
        ledger.close()
        ledger.close()
