"""A target becomes a setting that meets it, with an interval that says how surely."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.routing.evaluation.test_evaluate import records
from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing import (
    DifficultyClassifier,
    OutcomeRecord,
    RouteRequest,
    TargetCost,
    TargetQuality,
    Threshold,
    Tier,
    calibrate,
)
from tokenomics_core.routing._protocols import Assessment, Candidate, PolicyState
from tokenomics_core.routing._valued import choose_by_value
from tokenomics_core.routing.policies import AnswerValue, TargetShare

NO_REQUEST = RouteRequest(question="")


def three_tiers(n=240, seed=2):
    rng = np.random.default_rng(seed)
    chances = np.sort(rng.random((n, 3)), axis=1)
    good = rng.random((n, 3)) < chances
    made = [
        OutcomeRecord(
            text=f"q{number}",
            outcomes=dict(zip("abc", map(bool, row), strict=True)),
            costs_usd={"a": 0.001, "b": 0.004, "c": 0.02},
        )
        for number, row in enumerate(good)
    ]
    return made, chances, good.astype(float)


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 1), ties=st.booleans())
def test_no_threshold_comes_closer_to_a_share_than_the_one_solved(share, ties):
    made, hardness = records(60)
    scores = np.round(hardness, 1) if ties else hardness
    solved = calibrate(scores, made, share=share, resamples=2)
    assert isinstance(solved.policy, TargetShare)
    sent = (scores >= solved.policy.controller.level).mean()
    assert solved.shares["dear"].value == pytest.approx(sent)
    others = [(scores >= level).mean() for level in [*scores, np.inf]]
    assert abs(sent - share) <= min(abs(other - share) for other in others) + 1e-9


def test_shares_of_several_tiers_are_met_by_one_threshold_each():
    made, chances, _ = three_tiers()
    solved = calibrate(chances, made, share={"b": 0.3, "c": 0.2}, resamples=20)
    assert isinstance(solved.policy, Threshold)
    got = [solved.shares[tier].value for tier in "abc"]
    assert got == pytest.approx([0.5, 0.3, 0.2], abs=1 / 240 + 1e-9)
    gains = chances[:, 2] - chances[:, 0]
    tiers = [Candidate(Tier(name=name, model=name), None, None) for name in "abc"]
    assessment = Assessment(name="x")
    chosen = [
        solved.policy.choose(assessment, tiers, NO_REQUEST, PolicyState(score=float(gain)))[0]
        for gain in gains
    ]
    assert np.bincount(chosen, minlength=3) / 240 == pytest.approx(got)


@pytest.mark.parametrize("kept", [0.8, 0.9, 0.97, 1.0])
def test_the_quality_is_kept_at_the_least_cost_that_any_value_gives(kept):
    made, chances, good = three_tiers()
    solved = calibrate(chances, made, target_quality=kept, resamples=5)
    assert isinstance(solved.policy, TargetQuality)
    wanted = kept * good.mean(axis=0).max()
    assert solved.quality.value >= wanted - 1e-12
    costs = np.array([0.001, 0.004, 0.02])
    rows = np.arange(len(good))
    reaching = [
        costs[pick].mean()
        for value in np.logspace(-4, 2, 400)
        if good[rows, pick := choose_by_value(chances, costs, value)].mean() >= wanted
    ]
    assert solved.usd_per_1000.value <= 1000 * min(reaching) * 1.05


@pytest.mark.parametrize("usd", [1.0, 3.0, 8.0, 19.0, 30.0])
def test_the_cost_is_not_passed_and_nearly_used(usd):
    made, chances, _ = three_tiers()
    solved = calibrate(chances, made, target_cost_usd=usd, resamples=5)
    assert isinstance(solved.policy, TargetCost)
    assert solved.usd_per_1000.value <= usd + 1e-9
    assert solved.usd_per_1000.value >= min(usd, 1000 * 0.9 * _dearest_choice(chances)) - 0.2


def _dearest_choice(chances):
    return np.array([0.001, 0.004, 0.02])[chances.argmax(axis=1)].mean()


def test_the_policy_chooses_for_one_question_as_was_solved_for_many():
    _, chances, _ = three_tiers(40)
    costs = np.array([0.001, 0.004, 0.02])
    for value in (0.005, 0.02, 0.3):
        policy = AnswerValue(value)
        many = choose_by_value(chances, costs, value)
        for row, expected in zip(chances, many, strict=True):
            candidates = [
                Candidate(Tier(name=str(at), model=str(at)), costs[at], float(row[at])) for at in range(3)
            ]
            assert policy.choose(Assessment(name="x"), candidates, NO_REQUEST, PolicyState())[0] == expected


def test_two_tiers_without_costs_keep_quality_with_the_fewest_strong_calls():
    made, hardness = records(200, costs=False)
    solved = calibrate(hardness, made, target_quality=0.9, resamples=5)
    weak, strong = (np.array([float(row.outcomes[tier]) for row in made]) for tier in ("cheap", "dear"))
    order = np.argsort(-hardness)
    reached = [
        (strong[order[:k]].sum() + weak[order[k:]].sum()) / 200 >= 0.9 * strong.mean() for k in range(201)
    ]
    assert solved.shares["dear"].value == pytest.approx(reached.index(True) / 200)
    assert isinstance(solved.policy, Threshold)


def test_a_classifier_that_has_learned_nothing_is_fitted_and_judged_out_of_fold():
    made, _ = records(240)
    solved = calibrate(None, made, share=0.3, folds=3, resamples=20)
    assert solved.classifier.weights_ is not None
    assert set(solved.calibration_errors) == {"cheap", "dear"}
    learned = DifficultyClassifier(folds=3).fit_outcomes(
        [row.text for row in made],
        {tier: [float(row.outcomes[tier]) for row in made] for tier in ("cheap", "dear")},
    )
    as_given = calibrate(learned, made, share=0.3, resamples=20)
    assert as_given.classifier is learned
    assert as_given.settings != solved.settings


def test_intervals_hold_the_value_and_narrow_with_more_questions():
    widths = []
    for n in (100, 1600):
        made, hardness = records(n)
        level = calibrate(hardness, made, share=0.3, resamples=200).settings["least gain for dear"]
        assert level.low <= level.value <= level.high
        widths.append(level.high - level.low)
    assert widths[1] < widths[0] / 2


def test_a_share_solved_on_one_half_is_met_on_the_other():
    made, hardness = records(4000)
    solved = calibrate(hardness[:2000], made[:2000], share=0.3, resamples=2)
    assert (hardness[2000:] >= solved.policy.controller.level).mean() == pytest.approx(0.3, abs=0.03)


def test_what_may_not_hold_on_other_questions_is_said():
    made, hardness = records(220)
    chances = np.column_stack([1 - hardness, np.minimum(1, 1.1 - hardness * 0.8)])
    solved = calibrate(np.clip(chances, 0, 1), made, target_quality=0.95, resamples=100)
    assert "ask for more than 95.0% to be sure" in " ".join(solved.cautions)
    assert "target" in str(solved)
    assert "95.0% of the best single tier" in solved._repr_html_()
    assert solved.to_dict()["policy"] == "target_quality"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({}, "exactly one of share"),
        ({"share": 0.1, "target_quality": 0.9}, "exactly one of share"),
        ({"share": 1.1}, "shares must lie in"),
        ({"share": {"cheap": 0.5}}, "a share may be set for dear, not for cheap"),
        ({"target_quality": 0}, "target_quality must be above 0"),
        ({"target_quality": 1.5}, "target_quality must be above 0"),
        ({"target_cost_usd": 0.5}, "at least what the cheapest tier costs"),
        ({"target_cost_usd": float("nan")}, "at least what the cheapest tier costs"),
    ],
)
def test_targets_that_mean_nothing_are_refused(target, message):
    made, hardness = records(30)
    chances = np.column_stack([1 - hardness, np.ones(30)])
    with pytest.raises(ConfigurationError, match=message):
        calibrate(chances, made, **target)


def test_targets_that_the_records_cannot_tell_are_refused():
    made, hardness = records(30, costs=False)
    with pytest.raises(ConfigurationError, match="records that say what every answer cost"):
        calibrate(hardness, made, target_cost_usd=1)
    three, chances, _ = three_tiers(30)
    gains = chances[:, 2] - chances[:, 0]
    with pytest.raises(ConfigurationError, match="a chance for every tier"):
        calibrate(gains, three, target_quality=0.9)
    with pytest.raises(ConfigurationError, match=r"thresholds are gains in \[-1, 1\]"):
        calibrate(100 * gains, three, share={"b": 0.2, "c": 0.1})
    with pytest.raises(ConfigurationError, match="folds must be from 2"):
        calibrate(None, three, share=0.1, folds=99)


def test_history_and_tools_are_learned_from_and_asked_with():
    rng = np.random.default_rng(6)
    made = [
        OutcomeRecord(
            text=f"go on with step {number}",
            outcomes={"cheap": bool(rng.random() < (0.05 if long else 0.95)), "dear": True},
            history=[("user", "and then? " * 40)] * 8 if long else (),
        )
        for number, long in enumerate(rng.random(200) < 0.5)
    ]
    solved = calibrate(None, made, share=0.5, resamples=5)
    asked = [
        solved.classifier.chances("go on", context=(row.history, row.tools))[0]["cheap"] for row in made[:40]
    ]
    wrong = np.array([not row.outcomes["cheap"] for row in made[:40]])
    assert np.mean(np.array(asked)[wrong]) < np.mean(np.array(asked)[~wrong]) - 0.3
    assert solved.quality.value > 0.9
