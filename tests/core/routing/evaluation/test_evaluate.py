"""An evaluation says what a router is worth beside chance, length, single tiers and hindsight."""

from __future__ import annotations

import itertools
from decimal import Decimal

import numpy as np
import pytest

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing import (
    Assessment,
    DifficultyClassifier,
    OutcomeRecord,
    Router,
    Threshold,
    Tier,
    evaluate_router,
)
from tokenomics_core.routing.classifiers import FunctionClassifier

TIERS = ("cheap", "dear")


def records(n=300, seed=1, *, gap=0.3, costs=True):
    """Questions whose difficulty is known: `hardness` is the chance that cheap fails."""
    rng = np.random.default_rng(seed)
    hardness = rng.random(n)
    made = []
    for number, hard in enumerate(hardness.tolist()):
        cheap, dear = rng.random() > hard, rng.random() > hard * (1 - gap) - gap / 2
        made.append(
            OutcomeRecord(
                text=f"question {number} " + "word " * int(rng.integers(1, 9)),
                outcomes={"cheap": bool(cheap), "dear": bool(dear)},
                costs_usd={"cheap": 0.001, "dear": 0.02} if costs else {},
            )
        )
    return made, hardness


def test_a_score_that_knows_the_difficulty_is_better_than_chance_and_no_better_than_hindsight():
    made, hardness = records()
    result = evaluate_router(hardness, made, resamples=200)
    assert result.router.apgr.low > 0.5
    assert result.router.apgr.value < result.oracle.apgr.value
    assert result.oracle.regret.value == 0
    assert result.router.regret.value > 0
    assert [tier.name for tier in result.tiers] == list(TIERS)


def test_chance_is_one_half_within_its_interval():
    made, _ = records()
    apgr = evaluate_router(np.random.default_rng(3).random(300), made, resamples=300).router.apgr
    assert apgr.low < 0.5 < apgr.high


def test_differences_are_paired_and_so_narrower_than_the_intervals_themselves():
    made, hardness = records()
    result = evaluate_router(
        hardness, made, baselines={"same": hardness + 1e-9 * np.arange(300)}, resamples=200
    )
    same = result.baselines[-1]
    assert same.behind.high - same.behind.low < 0.2 * (same.apgr.high - same.apgr.low)


def test_the_interval_is_that_of_drawing_questions_anew_by_hand():
    made, hardness = records(80)
    weak = np.array([row.outcomes["cheap"] for row in made], dtype=float)
    strong = np.array([row.outcomes["dear"] for row in made], dtype=float)

    def apgr(at):
        order = at[np.argsort(-hardness[at], kind="stable")]
        gains = (strong - weak)[order]
        heights = np.concatenate([[0.0], np.cumsum(gains)])
        return sum((a + b) / 2 for a, b in itertools.pairwise(heights)) / len(at) / heights[-1]

    rng = np.random.default_rng(7)
    by_hand = [apgr(rng.integers(0, 80, 80)) for _ in range(400)]
    got = evaluate_router(hardness, made, resamples=400, seed=7).router.apgr
    assert got.value == pytest.approx(apgr(np.arange(80)))
    low, high = np.quantile(by_hand, [0.025, 0.975])
    # Equal up to ties, which drawing a question twice makes, and in which order decides nothing here.
    assert (got.low, got.high) == pytest.approx((low, high), abs=0.02)


def test_prompt_length_the_best_single_tier_and_the_zero_router_stand_beside_every_evaluation():
    made, hardness = records()
    result = evaluate_router(hardness, made, resamples=50)
    assert result.baselines[0].name == "prompt length"
    assert result.best_single.name == "dear"
    text = str(result)
    for words in ("prompt length", "best single", "oracle", "chance", "blindly"):
        assert words in text, words


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    made, hardness = records()
    one, two, three = (
        evaluate_router(hardness, made, resamples=50, seed=seed).to_dict() for seed in (4, 4, 5)
    )
    assert one == two
    assert one["router"]["apgr"] != three["router"]["apgr"]
    assert one["router"]["apgr"]["value"] == three["router"]["apgr"]["value"]


def test_tiers_are_ordered_by_cost_and_without_costs_by_quality():
    made = [
        OutcomeRecord(text="a", outcomes={"x": 1, "y": 0}, costs_usd={"x": 1.0, "y": 2.0}),
        OutcomeRecord(text="b", outcomes={"x": 1, "y": 1}, costs_usd={"x": 1.0, "y": 2.0}),
    ]
    priced = evaluate_router([1, 2], made, resamples=10)
    assert [tier.name for tier in priced.tiers] == ["x", "y"]
    unpriced = [OutcomeRecord(text=row.text, outcomes=row.outcomes) for row in made]
    assert [tier.name for tier in evaluate_router([1, 2], unpriced, resamples=10).tiers] == ["y", "x"]


def test_a_tier_that_is_dearer_and_worse_is_called_out():
    made = [
        OutcomeRecord(text="a", outcomes={"x": 1, "y": 0}, costs_usd={"x": 1.0, "y": 2.0}),
        OutcomeRecord(text="b", outcomes={"x": 1, "y": 1}, costs_usd={"x": 1.0, "y": 2.0}),
    ]
    result = evaluate_router([1, 2], made, resamples=10)
    assert result.tiers[1].dominated_by == "x"
    assert result.router.apgr is None
    assert any("y is no better than x and no cheaper" in caution for caution in result.cautions)
    assert any("y is not better than x here" in caution for caution in result.cautions)


def test_records_without_every_tier_are_left_out_and_counted():
    made, hardness = records(220)
    made.append(OutcomeRecord(text="only cheap", outcomes={"cheap": 1}))
    result = evaluate_router(hardness, made, resamples=20)
    assert (result.questions, result.left_out) == (220, 1)
    assert "1 records lack a tier's outcome" in " ".join(result.cautions)


def test_unknown_costs_leave_savings_unknown_not_zero():
    made, hardness = records(220, costs=False)
    result = evaluate_router(hardness, made, resamples=20)
    assert result.router.saving_at == {}
    assert (result.zero_aiq, result.tiers[0].usd_per_1000) == (None, None)
    with pytest.raises(ConfigurationError, match="nothing was drawn"):
        result.plot(by="cost")


def test_one_unknown_cost_makes_all_costs_unknown():
    made, hardness = records(60)
    made[7] = OutcomeRecord(text="free?", outcomes=made[7].outcomes, costs_usd={"cheap": 0.001})
    assert evaluate_router(hardness, made, tiers=TIERS, resamples=20).zero_aiq is None


def test_chances_of_three_tiers_give_an_aiq_above_mixing_blindly_when_they_are_informed():
    rng = np.random.default_rng(5)
    needs = rng.integers(0, 3, 400)
    made = [
        OutcomeRecord(
            text=f"q{number}",
            outcomes={"a": bool(need < 1), "b": bool(need < 2), "c": True},
            costs_usd={"a": 1.0, "b": 3.0, "c": 10.0},
        )
        for number, need in enumerate(needs)
    ]
    known = np.array([[need < 1, need < 2, True] for need in needs], dtype=float)
    result = evaluate_router(known, made, resamples=50)
    assert result.router.aiq.low > result.zero_aiq.high
    # By hand: first what b gets right goes to b, then what only c gets right goes to c.
    shares = np.bincount(needs, minlength=3) / 400
    corners = [(1.0, shares[0]), (1 + 2 * shares[1], shares[0] + shares[1])]
    corners += [(1 + 2 * shares[1] + 9 * shares[2], 1.0), (10.0, 1.0)]
    area = sum((y0 + y1) / 2 * (x1 - x0) for (x0, y0), (x1, y1) in itertools.pairwise(corners))
    assert result.router.aiq.value == pytest.approx(area / 9, abs=1e-6)
    blind = evaluate_router(np.tile(known.mean(axis=0), (400, 1)), made, resamples=20)
    assert blind.router.aiq.value == pytest.approx(blind.zero_aiq.value)


def gain_of(text: str) -> float:
    return 0.9 if "hard" in text else 0.1


def asked(at):
    made = [
        OutcomeRecord(
            text=f"{'hard' if number % 2 else 'easy'} {number}",
            outcomes={"cheap": number % 2 == 0, "dear": True},
            costs_usd={"cheap": 0.001, "dear": 0.01},
        )
        for number in range(40)
    ]
    tiers = [
        Tier(name="cheap", model="small", price=("1", "1"), quality=0.5),
        Tier(name="dear", model="large", price=("10", "10"), quality=0.9),
    ]
    classifier = FunctionClassifier(
        lambda request, tiers: {"cheap": 1 - gain_of(request.question), "dear": 1.0}
    )
    return Router(tiers, classifier=classifier, policy=Threshold(at)), made


def test_a_routers_own_decisions_are_measured():
    router, made = asked(0.5)
    result = evaluate_router(router, made, resamples=50)
    decided = result.decided
    assert decided.shares == {"cheap": 0.5, "dear": 0.5}
    assert decided.quality.value == 1
    assert decided.usd_per_1000.value == pytest.approx(5.5)
    assert decided.saving.value == pytest.approx(0.45)
    assert decided.above_mixture.value == pytest.approx(0.25)
    assert decided.regret.value == 0
    assert "50%" in str(result)


def test_a_router_that_sends_everything_up_saves_nothing_and_is_said_to_be_no_better():
    router, made = asked(-1.0)
    result = evaluate_router(router, made, resamples=50)
    assert result.decided.saving.value == 0
    assert any("dear alone is as good as these decisions" in caution for caution in result.cautions)


class Costly:
    """Assesses rightly, and for more than it can save."""

    name = "costly"

    def assess(self, request, tiers):
        chances = {"cheap": 1 - gain_of(request.question), "dear": 1.0}
        return Assessment(name=self.name, probabilities=chances, cost_usd=Decimal("0.02"))


def test_a_classifier_that_costs_more_than_it_saves_shows_a_loss():
    router, made = asked(0.5)
    losing = Router(router.tiers, classifier=Costly(), policy=Threshold(0.5))
    result = evaluate_router(losing, made, resamples=50)
    assert result.decided.saving.high < 0
    assert "the decisions cost more than the dearest tier alone" in result.cautions
    assert evaluate_router(Costly(), made, resamples=20).router.saving_at[0.95].value < 0


def test_a_function_a_classifier_and_its_chances_give_the_same_result():
    _, made = asked(0.5)
    chances = np.array([[1 - gain_of(row.text), 1.0] for row in made])
    by_function = evaluate_router(lambda texts: [gain_of(text) for text in texts], made, resamples=20)
    by_numbers = evaluate_router(chances, made, resamples=20)
    by_classifier = evaluate_router(
        FunctionClassifier(lambda request, tiers: {"cheap": 1 - gain_of(request.question), "dear": 1.0}),
        made,
        resamples=20,
    )
    assert by_function.router.apgr == by_numbers.router.apgr == by_classifier.router.apgr


def test_a_fitted_classifier_is_asked_by_its_tiers_names_in_any_order():
    made, _ = records(120)
    learner = DifficultyClassifier(folds=2).fit_outcomes(
        [row.text for row in made],
        {tier: [float(row.outcomes[tier]) for row in made] for tier in ("dear", "cheap")},
    )
    result = evaluate_router(learner, made, resamples=10)
    chances = learner.predict_proba([row.text for row in made])
    expected = evaluate_router(chances[:, ::-1], made, resamples=10)
    assert result.router.apgr == expected.router.apgr


def test_it_draws_as_text_as_a_page_and_as_a_plot():
    made, hardness = records()
    result = evaluate_router(hardness, made, resamples=20, name="by hardness")
    assert "by hardness" in result._repr_html_()
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot as plt

    for by in ("share", "cost"):
        ax = result.plot(by=by, title="curve")
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert {"by hardness", "oracle", "chance", "prompt length"} <= set(labels)
        plt.close(ax.figure)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda made: evaluate_router([1.0], made), "scores must be finite and of shape"),
        (lambda made: evaluate_router([[2.0, 3.0]] * 30, made), "chances must lie in"),
        (lambda made: evaluate_router(["a"] * 30, made), "scores must be numbers"),
        (lambda made: evaluate_router([1.0] * 30, made, resamples=1), "resamples must be 2 or more, not 1"),
        (lambda made: evaluate_router([1.0] * 30, made, confidence=1.0), "confidence must be between"),
        (lambda made: evaluate_router([1.0] * 30, made, tiers=["cheap"]), "two or more different tiers"),
        (lambda made: evaluate_router([1.0] * 30, made, tiers=["cheap", "gone"]), "none of 30 records"),
        (lambda made: evaluate_router([], []), "two or more different tiers"),
        (lambda made: evaluate_router([1], [{"text": "a", "outcome": {}}]), "record 1 cannot be read"),
        (lambda made: evaluate_router([1.0] * 30, made).plot(by="day"), "by must be 'share' or 'cost'"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, message):
    made, _ = records(30)
    with pytest.raises(ConfigurationError, match=message):
        call(made)


def test_a_router_that_chooses_a_tier_nobody_judged_is_refused():
    router, made = asked(0.5)
    other = [
        OutcomeRecord(text=row.text, outcomes={"cheap": row.outcomes["cheap"], "other": 1}) for row in made
    ]
    with pytest.raises(ConfigurationError, match="the router chose dear"):
        evaluate_router(router, other)


def test_a_negative_cost_is_refused():
    made = [OutcomeRecord(text="a", outcomes={"x": 1, "y": 0}, costs_usd={"x": -1.0, "y": 2.0})]
    with pytest.raises(ConfigurationError, match=r"must be 0 USD or more, not -1\.0"):
        evaluate_router([1.0], made)
