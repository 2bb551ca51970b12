"""A cascade escalates what was judged not good enough, pays for every attempt, and stops."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.pricing import PriceBook
from tokenomics_core.routing import (
    Answer,
    AnswerAcceptor,
    Cascade,
    Router,
    RouteRequest,
    Threshold,
    Tier,
    Verdict,
)
from tokenomics_core.routing._cascade import expected_costs
from tokenomics_core.routing.acceptors import AgreementAcceptor, FunctionAcceptor, LLMJudge
from tokenomics_core.routing.classifiers import LLMReply
from tokenomics_core.routing.policies import Candidate, CascadeStart
from tokenomics_core.types import Usage

SMALL = Tier(name="small", model="s", price=("1", "1"), quality=0.6)
MIDDLE = Tier(name="middle", model="m", price=("4", "4"), quality=0.8)
LARGE = Tier(name="large", model="l", price=("20", "20"), quality=0.95)
TIERS = (SMALL, MIDDLE, LARGE)
YES, NO = FunctionAcceptor(lambda q, a: True), FunctionAcceptor(lambda q, a: False)
USAGE = Usage(input_tokens=1000, output_tokens=1000)


def walk(cascade, request="q", answers=None):
    """Make every call of an ask; return the tiers in order, the one whose answer is used last."""
    route = cascade.first(request)
    seen = [route.tier.name]
    while cascade.needs_judging(route):
        verdict = cascade.judge(request, Answer(text=(answers or {}).get(route.tier.name, "text")))
        following = cascade.next(route, verdict)
        cascade.report(route, verdict, usage=USAGE)
        if following is None:
            return seen
        route = following
        seen.append(route.tier.name)
    cascade.report(route, usage=USAGE)
    return seen


probabilities = st.floats(0, 1)
costs = st.decimals(min_value="0.0001", max_value=1, places=4)


@given(st.lists(st.tuples(costs, probabilities), min_size=1, max_size=3))
def test_the_start_has_the_least_expected_bill(rows):
    candidates = [Candidate(tier, cost, chance) for tier, (cost, chance) in zip(TIERS, rows, strict=False)]

    def bill(start):
        """Sum over every way the cascade can go."""
        total, reached = 0.0, 1.0
        for place in range(start, len(candidates)):
            total += reached * float(candidates[place].cost_usd)
            reached *= 1 - candidates[place].probability
        return total

    index, _ = CascadeStart().choose(None, candidates, RouteRequest(question="q"), None)
    assert bill(index) == pytest.approx(min(map(bill, range(len(candidates)))))
    assert expected_costs(candidates) == pytest.approx(list(map(bill, range(len(candidates)))))


def test_a_draft_that_would_stand_too_rarely_is_skipped():
    hopeless = Tier(name="small", model="s", price=("10", "10"), quality=0.2)
    assert Cascade((hopeless, LARGE), YES, threshold=0.5).first("q").tier is LARGE
    assert Cascade((SMALL, LARGE), YES, threshold=0.5).first("q").tier is SMALL


def test_accepted_drafts_end_the_ask_and_rejected_ones_climb_to_the_last_tier():
    assert walk(Cascade(TIERS, YES, threshold=0.5)) == ["small"]
    assert walk(Cascade(TIERS, NO, threshold=0.5)) == ["small", "middle", "large"]
    by_text = FunctionAcceptor(lambda q, a: a.text == "good")
    assert walk(Cascade(TIERS, by_text, threshold=0.5), answers={"middle": "good"}) == ["small", "middle"]


@pytest.mark.parametrize("most", [1, 2, 3, 9])
def test_there_are_no_more_attempts_than_allowed(most):
    assert len(walk(Cascade(TIERS, NO, threshold=0.5, max_attempts=most))) == min(most, 3)


def test_every_attempt_is_paid_and_rejected_drafts_may_make_it_a_loss():
    cascade = Cascade(TIERS, NO, threshold=0.5)
    for _ in range(40):
        walk(cascade)
    stats = cascade.stats()
    assert stats.drafts_usd == 40 * (Decimal("0.002") + Decimal("0.008"))
    assert stats.routed_usd == stats.counterfactual_usd == 40 * Decimal("0.04")
    assert stats.net_saving_usd == -40 * Decimal("0.01")
    assert (stats.cascades, stats.escalations) == (40, 80)
    assert stats.tiers["small"].drafts == stats.tiers["large"].answers == 40
    assert stats.wants_retraining
    assert "fit the classifier anew" in str(stats)


def test_a_draft_is_a_draft_whether_reported_before_or_after_the_next_is_asked():
    cascade = Cascade((SMALL, LARGE), NO, threshold=0.5)
    route = cascade.first("q")
    verdict = cascade.judge("q", Answer(text="x"))
    cascade.report(route, verdict, usage=USAGE)
    cascade.report(cascade.next(route, verdict), usage=USAGE)
    assert cascade.stats().drafts_usd == Decimal("0.002")
    last = Cascade((SMALL, LARGE), NO, threshold=0.5, max_attempts=1)
    route = last.first("q")
    last.report(route, last.judge("q", Answer(text="x")), usage=USAGE)
    assert last.stats().drafts_usd == 0
    assert last.stats().routed_usd == Decimal("0.002")


def test_a_cascade_that_saves_shows_what_is_left_of_it():
    cascade = Cascade(TIERS, YES, threshold=0.5)
    walk(cascade)
    assert cascade.stats().net_saving_usd == Decimal("0.038")
    assert cascade.stats().escalation_rate == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(text="{}", schema_ok=False), "schema"),
        (Answer(text="half", finish_reason="length"), "cut off"),
        (Answer(text="half", finish_reason="max_tokens"), "cut off"),
        (Answer(text="", finish_reason="content_filter"), "cut off"),
        (Answer(text=" \n"), "empty"),
    ],
)
def test_plain_faults_are_rejected_without_asking_anyone(answer, words):
    asked = []
    cascade = Cascade(TIERS, FunctionAcceptor(lambda q, a: asked.append(a) or True), threshold=0.0)
    verdict = cascade.judge("q", answer)
    assert not verdict.accept
    assert words in verdict.reasons[0]
    assert asked == []


def test_tool_calls_without_text_are_no_empty_answer():
    assert Cascade(TIERS, YES, threshold=0.5).judge("q", Answer(text="", tool_calls=("search",))).accept


def test_an_acceptor_that_fails_or_gives_no_chance_accepts_nothing():
    class Wild:
        def accept_probability(self, question, answer):
            return 7.0

    for acceptor in (Wild(), FunctionAcceptor(lambda q, a: "yes"), FunctionAcceptor(lambda q, a: 1 / 0)):
        verdict = Cascade(TIERS, acceptor, threshold=0.0).judge("q", Answer(text="x"))
        assert not verdict.accept
        assert "could not be judged" in verdict.reasons[0]


async def test_a_model_that_judges_is_paid_sync_and_async_alike():
    prices = PriceBook(overrides={"j": {"input": "1", "output": "1"}})

    def ask(prompt):
        return LLMReply(text="80", usage=Usage(input_tokens=1000, output_tokens=0))

    cascade = Cascade(TIERS, LLMJudge(ask, model="j", prices=prices), threshold=0.7)
    verdict = cascade.judge("q", Answer(text="x"))
    assert verdict == await cascade.ajudge("q", Answer(text="x"))
    assert (verdict.accept, verdict.probability, verdict.cost_usd) == (True, 0.8, Decimal("0.001"))
    assert cascade.stats().judges_usd == Decimal("0.002")
    assert cascade.stats().net_saving_usd == Decimal("-0.002")


def test_a_judge_is_shown_question_and_answer_as_they_are_and_unreadable_replies_accept_nothing():
    prompts = []
    judge = LLMJudge(lambda prompt: prompts.append(prompt) or "yes, 90 or 95")
    cascade = Cascade(TIERS, judge, threshold=0.0)
    verdict = cascade.judge("what is {answer}?", Answer(text="{question}"))
    assert "what is {answer}?" in prompts[0]
    assert "<<<ANSWER\n{question}\nANSWER>>>" in prompts[0]
    assert verdict.probability == 0.0
    assert "no readable chance" in verdict.reasons[0]
    assert cascade.stats().unpriced_calls == 1


async def test_what_a_judge_took_until_it_failed_is_unknown_and_never_nothing():
    def fails(prompt):
        raise TimeoutError("slow")

    cascade = Cascade(TIERS, LLMJudge(fails), threshold=0.5)
    verdict = cascade.judge("q", Answer(text="text"))
    again = await cascade.ajudge("q", Answer(text="text"))
    assert (verdict.accept, verdict.cost_usd) == (again.accept, again.cost_usd) == (False, None)
    assert cascade.stats().unpriced_calls == 2


async def test_the_async_steps_are_the_same():
    cascade = Cascade(TIERS, NO, threshold=0.5)
    route = await cascade.afirst("q")
    assert route.tier is SMALL
    verdict = await cascade.ajudge("q", Answer(text="x"))
    assert cascade.next(route, verdict).tier is MIDDLE


@pytest.mark.parametrize(
    ("samples", "chance"),
    [((), 0.0), (("the answer is 4",), 1.0), (("#### 4", "it is 5"), 0.5), (("5",), 0.0)],
)
def test_agreement_is_the_share_of_samples_that_come_to_the_same(samples, chance):
    answer = Answer(text="2 + 2 is 4", samples=samples)
    assert AgreementAcceptor().accept_probability("2 + 2?", answer) == chance
    assert Cascade(TIERS, AgreementAcceptor(), threshold=1.0).judge("q", answer).accept == (chance == 1)


def test_a_router_given_decides_where_to_start():
    router = Router(TIERS, policy=Threshold({"middle": -1.0}), classifier=None)
    cascade = Cascade(router, NO, threshold=0.5)
    assert cascade.router is router
    request = RouteRequest(question="q", quality_floor=0.7)
    assert walk(cascade, request) == ["middle", "large"]


def test_an_escalation_never_lacks_a_capability_and_passes_over_a_resting_tier():
    plain = Tier(name="middle", model="m", price=("4", "4"), quality=0.8, capabilities=frozenset())
    cascade = Cascade((SMALL, plain, LARGE), NO, threshold=0.5)
    assert walk(cascade, RouteRequest(question="q", needs=frozenset({"tools"}))) == ["small", "large"]
    tired = Cascade(TIERS, NO, threshold=0.5)
    route = tired.router.decide("q")
    tired.router.report(tired.router.redirect(route, MIDDLE, "test"), error="429")
    assert walk(tired) == ["small", "large"]


def test_an_escalation_stays_at_or_below_the_tier_that_a_budget_allows():
    assert walk(Cascade(TIERS, NO, threshold=0.5), RouteRequest(question="q", downgrade_to="middle")) == [
        "small",
        "middle",
    ]
    assert walk(Cascade(TIERS, NO, threshold=0.5), RouteRequest(question="q", downgrade_to="small")) == [
        "small"
    ]


def test_an_escalation_passes_over_a_tier_that_is_dearer_and_worse_than_another():
    bad = Tier(name="bad", model="b", price=("30", "30"), quality=0.7)
    assert walk(Cascade((SMALL, bad, LARGE), NO, threshold=0.5)) == ["small", "large"]
    blind = Tier(name="large", model="l", price=("20", "20"), quality=0.95, capabilities=frozenset())
    request = RouteRequest(question="q", needs=frozenset({"images"}))
    assert walk(Cascade((SMALL, bad, blind), NO, threshold=0.5), request) == ["small", "bad"]


@pytest.mark.parametrize(
    ("limit", "seen"),
    [("0.05", ["small", "middle", "large"]), ("0.012", ["small", "middle"]), ("0.003", ["small"])],
)
def test_drafts_and_answer_together_keep_to_the_limit_of_the_request(limit, seen):
    request = RouteRequest(question="q", input_tokens=1000, max_output_tokens=1000, max_cost_usd=limit)
    cascade = Cascade(TIERS, NO, threshold=0.5)
    assert walk(cascade, request) == seen
    spent = sum(tier.cost_usd for tier in cascade.stats().tiers.values())
    assert spent <= Decimal(limit)


@pytest.mark.parametrize("settings", [{"shadow": "small"}, {"holdout": 1.0, "safe_tier": "small"}])
def test_what_is_served_for_a_test_is_served_as_it_is(settings):
    cascade = Cascade(Router(TIERS, **settings), NO, threshold=0.5)
    assert walk(cascade) == ["small"]
    assert cascade.stats().cascades == 0


def test_the_shipped_acceptor_goes_by_its_solved_gain():
    cascade = Cascade((SMALL, LARGE), AnswerAcceptor.pretrained())
    question = "Tom has 3 apples and buys 4 bags of 5 apples. How many apples does he have?"
    good = " He buys 4 bags, 4*5 = <<4*5=20>>20 apples.\nSo he has 3+20 = <<3+20=23>>23.\n#### 23\n\n"
    assert cascade.judge(question, Answer(text=good)).accept
    essay = Answer(text="Rome fell for many reasons.\n" * 200)
    strange = cascade.judge("Why did Rome fall?\n" * 50, essay)
    assert strange.out_of_domain
    assert not strange.accept


def test_what_is_unlike_anything_learned_may_be_trusted_if_so_set():
    essay = Answer(text="Rome fell for many reasons.\n" * 200)
    trusting = Cascade((SMALL, LARGE), AnswerAcceptor.pretrained(), threshold=0.0, out_of_domain="trust")
    assert trusting.judge("Why?\n" * 50, essay).accept
    careful = Cascade((SMALL, LARGE), AnswerAcceptor.pretrained(), threshold=0.0)
    verdict = careful.judge("Why?\n" * 50, essay)
    assert not verdict.accept
    assert verdict.out_of_domain


def test_an_accepted_answer_has_no_next():
    cascade = Cascade(TIERS, YES, threshold=0.5)
    assert cascade.next(cascade.first("q"), Verdict(accept=True, probability=1.0)) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 1.5},
        {"threshold": 0.5, "max_attempts": 0},
        {"threshold": 0.5, "out_of_domain": "guess"},
        {},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        Cascade(TIERS, YES, **wrong)


@pytest.mark.parametrize(
    "make",
    [
        lambda: FunctionAcceptor("f"),
        lambda: LLMJudge("f"),
        lambda: LLMJudge(lambda prompt: "1", prompt="{question}"),
        lambda: LLMJudge(lambda prompt: "1", prices=PriceBook()),
    ],
)
def test_judges_that_cannot_judge_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()
