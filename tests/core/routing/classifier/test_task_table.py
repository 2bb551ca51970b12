"""A task's own success rates, drawn towards the mean where there are few."""

from __future__ import annotations

import asyncio
import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core import ConfigurationError
from tokenomics_core.routing import OutcomeRecord, RouteRequest, Tier
from tokenomics_core.routing.classifiers import (
    Assessment,
    FunctionClassifier,
    HeuristicClassifier,
    LLMClassifier,
    LLMReply,
    TaskTable,
)

TIERS = (Tier(name="weak", model="w"), Tier(name="strong", model="s"))
rows = st.lists(
    st.tuples(st.sampled_from("abc"), st.floats(0, 1), st.one_of(st.none(), st.floats(0, 1))), min_size=1
)


def asked(task):
    return RouteRequest(question="?", task=task)


@given(rows, st.floats(0.1, 100))
def test_a_chance_is_the_mean_with_imagined_outcomes_at_the_overall_mean(rows, prior):
    outcomes = {"weak": [row[1] for row in rows], "strong": [row[2] for row in rows]}
    table = TaskTable(prior_count=prior).fit([row[0] for row in rows], outcomes)
    for tier, place in (("weak", 1), ("strong", 2)):
        every = [row[place] for row in rows if row[place] is not None]
        for task in {row[0] for row in rows}:
            own = [row[place] for row in rows if row[0] == task and row[place] is not None]
            if every:
                imagined = prior * sum(every) / len(every)
                expected = (sum(own) + imagined) / (len(own) + prior)
                assert math.isclose(table.chances(task)[tier], expected, abs_tol=1e-9)
            else:
                assert tier not in table.chances(task)


def test_few_lucky_answers_hardly_move_a_tier_and_many_do():
    tasks = ["rare"] * 3 + ["often"] * 400 + ["rest"] * 597
    table = TaskTable().fit(tasks, {"weak": [1.0] * 403 + [0.0] * 597})
    overall = table.chances(None)["weak"]
    assert table.chances("rare")["weak"] - overall < 0.1
    assert table.chances("often")["weak"] > 0.95


def test_the_task_of_the_request_gives_chances_and_gain():
    tasks = ["easy"] * 50 + ["hard"] * 50
    table = TaskTable().fit(tasks, {"weak": [1] * 50 + [0] * 50, "strong": [1] * 100})
    easy, hard = table.assess(asked("easy"), TIERS), table.assess(asked("hard"), TIERS)
    assert easy.score == easy.probabilities["strong"] - easy.probabilities["weak"] < hard.score
    assert not hard.out_of_domain
    assert hard.reasons == ("task 'hard'",)


@pytest.mark.parametrize(
    ("task", "reason"), [("new", "task 'new' was not learned"), (None, "no task"), ("", "no task")]
)
def test_an_unknown_task_gets_the_overall_means_out_of_domain(task, reason):
    table = TaskTable().fit(["a", "b"], {"weak": [0, 1], "strong": [1, 1]})
    found = table.assess(asked(task), TIERS)
    assert found.probabilities == {"weak": 0.5, "strong": 1.0}
    assert found.out_of_domain
    assert reason in found.reasons[0]


async def test_an_unknown_task_goes_to_the_other_classifier_in_sync_and_async_alike():
    async def other(request, tiers):
        await asyncio.sleep(0)
        return "strong"

    for otherwise in (
        FunctionClassifier(other, name="other"),
        FunctionClassifier(lambda *_: "strong", name="other"),
    ):
        table = TaskTable(otherwise=otherwise).fit(["a"], {"weak": [1], "strong": [1]})
        found = await table.aassess(asked("b"), TIERS)
        assert found == table.assess(asked("b"), TIERS)
        assert (found.name, found.probabilities["weak"]) == ("other", 0)
        assert found.reasons == ("task 'b' was not learned",)
        assert (await table.aassess(asked("a"), TIERS)).name == "task_table"
    sync_only = TaskTable(otherwise=HeuristicClassifier()).fit(["a"], {"weak": [1]})
    assert (await sync_only.aassess(asked(None), TIERS)).name == "heuristic"


def test_another_classifier_may_have_a_share_where_the_task_is_known():
    def other(request, tiers):
        return Assessment(
            name="other", probabilities={"weak": 0.0, "new": 1.0}, out_of_domain=request.question == "strange"
        )

    outcomes = {"weak": [1.0], "strong": [1.0]}
    table = TaskTable(otherwise=FunctionClassifier(other), otherwise_share=0.25).fit(["a"], outcomes)
    found = table.assess(asked("a"), TIERS)
    assert found.probabilities == {"weak": 0.75, "strong": 1.0}
    assert (found.score, found.name) == (0.25, "task_table")
    strange = table.assess(RouteRequest(question="strange", task="a"), TIERS)
    assert strange.probabilities == {"weak": 1.0, "strong": 1.0}


async def test_a_model_that_has_a_share_is_paid_and_one_that_has_none_is_not_asked():
    calls = []

    async def ask(prompt):
        calls.append(prompt)
        return LLMReply(text='{"weak": 50}', cost_usd=Decimal("0.1"))

    for share, cost, number in ((0.0, 0, 0), (0.5, Decimal("0.1"), 1)):
        table = TaskTable(otherwise=LLMClassifier(ask), otherwise_share=share).fit(["a"], {"weak": [1.0]})
        assert (await table.aassess(asked("a"), TIERS)).cost_usd == cost
        assert len(calls) == number


def test_a_tier_without_outcomes_gets_no_chance_and_no_score():
    found = TaskTable().fit(["a"], {"weak": [1], "retired": [0]}).assess(asked("a"), TIERS)
    assert set(found.probabilities) == {"weak"}
    assert found.score is None


def test_records_teach_the_same_as_arrays_and_those_without_a_task_only_the_overall_mean():
    records = [
        OutcomeRecord(text="1", outcomes={"weak": "down", "strong": "up"}, task="a"),
        {"text": "2", "better": "weak", "worse": "strong", "task": "b"},
        {"text": "3", "outcomes": {"weak": 0.5}},
    ]
    table = TaskTable().fit_records(records)
    same = TaskTable().fit(["a", "b", "c"], {"weak": [0, 1, 0.5], "strong": [1, 0, math.nan]})
    assert table.chances("a") == same.chances("a")
    assert table.assess(asked(""), TIERS).out_of_domain


def test_what_was_saved_assesses_the_same(tmp_path):
    table = TaskTable(prior_count=7).fit(["a", "a", "ß"], {"weak": [0.1, 0.2, 0.7], "strong": [1, None, 0]})
    table.save(tmp_path / "tasks.json")
    loaded = TaskTable.load(tmp_path / "tasks.json", otherwise=HeuristicClassifier())
    for task in ("a", "ß", None):
        assert loaded.chances(task) == table.chances(task)
    assert isinstance(loaded.assess(asked("new"), TIERS), Assessment)
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"format": "other"},
        {"sums": {}},
        {"sums": {"a": {"weak": [2.0, 1]}}},
        {"sums": {"a": {"weak": [0.5, 0]}}},
        {"sums": {"a": {"weak": [0.5]}}},
        {"sums": {"a": {"weak": ["x", 1]}}},
        {"sums": []},
        {"prior_count": 0},
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, change):
    path = tmp_path / "tasks.json"
    TaskTable().fit(["a"], {"weak": [1]}).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigurationError):
        TaskTable.load(path)


def test_a_missing_or_broken_file_is_refused(tmp_path):
    (tmp_path / "broken.json").write_bytes(b"\xff{")
    for name in ("none.json", "broken.json"):
        with pytest.raises(ConfigurationError, match=name):
            TaskTable.load(tmp_path / name)


def test_a_table_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be written"):
        TaskTable().fit(["a"], {"weak": [1]}).save(tmp_path / "none" / "tasks.json")


@pytest.mark.parametrize(
    ("tasks", "outcomes", "problem"),
    [
        (["a"], {"weak": [1, 0]}, "2 outcomes of tier 'weak' for 1 tasks"),
        (["a"], {"weak": [1.5]}, "1.5"),
        (["a"], {"weak": [None]}, "nothing was learned"),
        ([], {}, "nothing was learned"),
    ],
)
def test_outcomes_that_do_not_fit_teach_nothing(tasks, outcomes, problem):
    table = TaskTable().fit(["z"], {"weak": [1]})
    with pytest.raises(ConfigurationError, match=problem):
        table.fit(tasks, outcomes)
    assert table.chances("z") == {"weak": 1.0}


def test_a_record_that_cannot_be_read_is_named_by_its_place():
    with pytest.raises(ConfigurationError, match="record 2"):
        TaskTable().fit_records([{"text": "1", "outcomes": {"weak": 1}}, {"outcomes": {"weak": 1}}])


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(ConfigurationError, match="otherwise_share"):
        TaskTable(otherwise_share=share)


@pytest.mark.parametrize("count", [0, -1, math.nan, math.inf])
def test_a_prior_that_is_no_weight_is_refused(count):
    with pytest.raises(ConfigurationError, match="prior_count"):
        TaskTable(prior_count=count)


def test_an_empty_table_assesses_nothing():
    with pytest.raises(ConfigurationError, match="not learned"):
        TaskTable().assess(asked("a"), TIERS)
