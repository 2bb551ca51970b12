"""The parts of benchmarks/routing.py, each of which prints its own table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from _routing_data import STRONG, WEAK, Pairs

from tokenomics_core.embedding import StaticEmbedder
from tokenomics_core.routing import AnswerAcceptor, DifficultyClassifier, OutcomeRecord, RouteRequest, Tier
from tokenomics_core.routing._protocols import Answer, Candidate, PolicyState
from tokenomics_core.routing.classifiers import TaskTable
from tokenomics_core.routing.evaluation import (
    Calibration,
    Estimate,
    RankedResult,
    RouterEvaluation,
    calibrate,
    evaluate_router,
    expected_calibration_error,
    fold_numbers,
    hold_out,
    out_of_fold,
)

LABELS = 500
DRAWS = 5
ORDERS = 10
SHIPPED_SHARE = 0.5
"""What the features-only model counts in the shipped recipe (training/router/train.py)."""


def verdict(name: str, value: float, least: float) -> str:
    return f"  {'ok  ' if value >= least else 'MISS'} {name}: {value:.3f}, at least {least} is asked"


def peers_of(peers: Mapping[str, list[float]], kept: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.array(scores)[kept] for name, scores in peers.items()}


def random_scores(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(n)


def show(result: RouterEvaluation) -> None:
    """Print every order of the questions, then the anchors."""
    print(f"  {'':34} {'APGR':24} {'CPT50':>6} {'CPT80':>6}  {'ours above it by':24}")
    for ranked in (result.router, *result.baselines, result.oracle):
        print(f"  {ranked.name:34} {ranked.apgr!s:24} {cpt(ranked, 0.5)} {cpt(ranked, 0.8)}  "
              f"{'' if ranked.behind is None else ranked.behind}")  # fmt: skip
    single = ", ".join(f"{tier.name} {tier.quality}" for tier in result.tiers)
    print(f"  single models: {single}; best: {result.best_single.name}; oracle {result.oracle_quality:.3f}")


def cpt(ranked: RankedResult, recovered: float) -> str:
    found = ranked.share_for[recovered]
    return "     -" if found is None else f"{100 * found.value:5.1f}%"


# pre-routers


def fitted(pairs: Pairs, peers: Mapping[str, list[float]], least: float, seed: int, resamples: int) -> None:
    """Five-fold cross-validation over all rows, and the fixed split."""
    make = _maker(seed)
    chances = out_of_fold(make, pairs.texts, pairs.outcomes(), folds=5, seed=seed)
    every = np.ones(len(pairs.texts), dtype=bool)
    settings = {"tiers": (WEAK, STRONG), "resamples": resamples, "seed": seed}
    baselines = {"random": random_scores(len(pairs.texts), seed), **peers_of(peers, every)}
    result = evaluate_router(chances, pairs.records, baselines=baselines, name="fitted, 5-fold", **settings)
    print(f"\n{pairs.name}: {len(pairs.texts)} questions, five-fold cross-validation, seed {seed}")
    show(result)
    print(verdict("fitted, five-fold APGR", result.router.apgr.value, least))
    for tier, at in ((WEAK, 0), (STRONG, 1)):
        error = expected_calibration_error(chances[:, at], pairs.outcomes()[tier])
        print(
            f"  {'ok  ' if error < 0.05 else 'MISS'} ECE of P({tier} right), 10 bins: {error:.3f} "
            "(below 0.05 is asked)"
        )
    train = pairs.is_train()
    half = pairs.only(~train)
    classifier = make().fit_outcomes(pairs.only(train).texts, pairs.only(train).outcomes())
    baselines = {"random": random_scores(len(half.texts), seed), **peers_of(peers, ~train)}
    result = evaluate_router(
        classifier.predict_proba(half.texts), half.records, baselines=baselines, name="fitted", **settings
    )
    print(f"\n{pairs.name}: trained on {train.sum()} questions of even SHA-256, measured on {(~train).sum()}")
    show(result)


def few_labels(pairs: Pairs, least: float, seed: int) -> None:
    """Draw a few labels, measure on all other questions."""
    found = []
    for draw in range(DRAWS):
        train = np.zeros(len(pairs.texts), dtype=bool)
        train[np.random.default_rng(seed + draw).permutation(len(train))[:LABELS]] = True
        part, rest = pairs.only(train), pairs.only(~train)
        classifier = DifficultyClassifier(seed=seed).fit_outcomes(part.texts, part.outcomes())
        result = evaluate_router(
            classifier.predict_proba(rest.texts), rest.records, tiers=(WEAK, STRONG), resamples=2, seed=seed
        )
        found.append(result.router.apgr.value)
    print(f"\n{pairs.name}: {LABELS} labels, {DRAWS} draws, measured on the other questions")
    print(f"  APGR {np.mean(found):.3f} +- {np.std(found, ddof=1):.3f} (one deviation between draws)")
    print(verdict(f"{LABELS} labels", float(np.mean(found)), least))


# transfer


def transfer(
    sets: Mapping[str, Pairs], peers: Mapping[str, Mapping[str, list[float]]], seed: int, resamples: int
) -> None:
    """Refit the shipped recipe on all other sets, measure on the one left out, beside every peer."""
    values: dict[str, dict[str, float]] = {}
    for left_out, test in sets.items():
        others = [pairs for name, pairs in sets.items() if name != left_out]
        texts = [text for pairs in others for text in pairs.texts]
        outcomes = {
            tier: np.concatenate([pairs.outcomes()[tier] for pairs in others]) for tier in (WEAK, STRONG)
        }
        classifier = DifficultyClassifier(seed=seed, robust_share=SHIPPED_SHARE).fit_outcomes(texts, outcomes)
        baselines = {"random": random_scores(len(test.texts), seed)}
        baselines |= {name: np.array(scores) for name, scores in peers.get(left_out, {}).items()}
        result = evaluate_router(
            classifier.predict_proba(test.texts),
            test.records,
            baselines=baselines,
            tiers=(WEAK, STRONG),
            name=f"trained without {left_out}",
            resamples=resamples,
            seed=seed,
        )
        outside = classifier.out_of_domain(test.texts).mean()
        alone = ", ".join(pairs.name for pairs in others)
        print(f"\n{left_out}: the shipped recipe fitted on {alone} alone; "
              f"{outside:.0%} of questions flagged as out of domain")  # fmt: skip
        show(result)
        for ranked in result.baselines:
            if ranked.behind is not None and ranked.behind.high < 0:
                print(f"  MISS significantly below {ranked.name}")
        rows = {"ours": result.router, **{ranked.name: ranked for ranked in result.baselines}}
        values[left_out] = {name: ranked.apgr.value for name, ranked in rows.items()}
    names = set.intersection(*(set(row) for row in values.values()))
    means = {name: float(np.mean([row[name] for row in values.values()])) for name in names}
    print("\nmean over the sets left out")
    for name, mean in sorted(means.items(), key=lambda item: -item[1]):
        print(f"  {name:34} {mean:.3f}")
    above = all(mean < means["ours"] for name, mean in means.items() if name != "ours")
    print(f"  {'ok  ' if above else 'MISS'} above every peer and prompt length on the mean")


# calibration


def calibration(pairs: Pairs, seed: int) -> None:
    """Solve targets on one half out of fold, meet them on the other; several random halves."""
    shares, off = (0.1, 0.3, 0.5, 0.7), []
    kept: dict[float, list[float]] = {0.9: [], 0.95: [], 0.98: []}
    halves = 4 if len(pairs.texts) > 2000 else 12
    for half in range(halves):
        train = np.random.default_rng(seed + half).permutation(len(pairs.texts)) % 2 == 0
        part, rest = pairs.only(train), pairs.only(~train)
        held = hold_out(_maker(seed), part.texts, part.outcomes(), seed=seed)
        unpriced = [OutcomeRecord(text=row.text, outcomes=row.outcomes) for row in part.records]
        settings = {"tiers": (WEAK, STRONG), "resamples": 2}
        gains = held.classifier.predict(rest.texts)
        off.append(
            [
                (gains >= _level(calibrate(held.scaled_gains, unpriced, share=share, **settings))).mean()
                - share
                for share in shares
            ]
        )
        weak, strong = rest.outcomes()[WEAK], rest.outcomes()[STRONG]
        for quality, reached in kept.items():
            solved = calibrate(held.scaled_gains, unpriced, target_quality=quality, **settings)
            sent = gains >= solved.settings[f"least gain for {STRONG}"].value
            reached.append(float(np.where(sent, strong, weak).mean() / strong.mean()))
    print(f"\n{pairs.name}: targets solved on {len(part.texts)} questions, met on {len(rest.texts)} others; "
          f"{halves} random halves")  # fmt: skip
    for share, errors in zip(shares, 100 * np.array(off).T, strict=True):
        chance = 100 * np.sqrt(2 * share * (1 - share) / len(rest.texts))
        mark = "ok  " if abs(errors.mean()) <= 1.5 else "MISS"
        print(f"  {mark} share {share:.0%}: off by {errors.mean():+.1f} "
              f"points on the mean (1.5 allowed), {np.abs(errors).mean():.1f} in either direction, at most "
              f"{np.abs(errors).max():.1f}; drawing two halves alone makes {0.8 * chance:.1f}")  # fmt: skip
    for quality, reached in kept.items():
        print(f"  quality {quality:.0%} of strong: {np.mean(reached):.3f} on the mean, "
              f"{min(reached):.3f} to {max(reached):.3f}")  # fmt: skip


def _level(solved: Calibration) -> float:
    return solved.policy.controller.level


def controller(mmlu: Pairs, gsm8k: Pairs, seed: int) -> None:
    """Send MMLU, then GSM8K through a policy solved on MMLU; compare with its threshold held still."""
    train = mmlu.is_train()
    part, rest = mmlu.only(train), mmlu.only(~train)
    n_before = min(2000, len(rest.texts))
    print(
        f"\nshift: {n_before} questions of {mmlu.name}, then {len(gsm8k.texts)} of {gsm8k.name}; "
        f"solved on the former; {ORDERS} orders"
    )
    candidates = [Candidate(Tier(name=name, model=name), None, None) for name in (WEAK, STRONG)]
    held = hold_out(_maker(seed), part.texts, part.outcomes(), seed=seed)
    before, later = held.classifier.predict(rest.texts), held.classifier.predict(gsm8k.texts)
    unpriced = [OutcomeRecord(text=row.text, outcomes=row.outcomes) for row in part.records]
    for share in (0.1, 0.3, 0.5, 0.7):
        shares, first, off = [], [], []
        for turn in range(ORDERS):
            rng = np.random.default_rng(seed + turn)
            solved = calibrate(held.scaled_gains, unpriced, share=share, tiers=(WEAK, STRONG), resamples=2)
            still = _level(solved)
            sent = []
            for gain in np.concatenate([rng.permutation(before)[:n_before], rng.permutation(later)]):
                state = PolicyState(score=float(gain))
                index, _ = solved.policy.choose(None, candidates, RouteRequest(question=""), state)
                solved.policy.observe(index, candidates, state)
                sent.append(index)
            after = np.array(sent[n_before:])
            shares.append(after.mean())
            first.append(after[:200].mean())
            off.append(100 * abs(after.mean() - share))
        mark = "ok  " if np.mean(off) <= 1 else "MISS"
        print(
            f"  {mark} {share:.0%} strong: {np.mean(shares):.1%} after the shift, {np.mean(off):.1f} points "
            f"off in either direction (1 allowed), at most {max(off):.1f}; {np.mean(first):.1%} in its first "
            f"200; a threshold held still sends {(later >= still).mean():.1%}"
        )


# cascade


def cascade(
    pairs: Pairs,
    peers: Mapping[str, list[float]],
    answer_peers: Mapping[str, list[float]],
    seed: int,
    resamples: int,
) -> None:
    """The weak model answers first; ten folds, three shuffles averaged."""
    outcomes, questions = pairs.outcomes(), pairs.texts
    answers = [Answer(text=text) for text in pairs.answers]
    gains = np.mean([_acceptance(questions, answers, outcomes, seed + turn) for turn in range(3)], axis=0)
    router = out_of_fold(_maker(seed), questions, outcomes, folds=10, seed=seed)
    settings = {"tiers": (WEAK, STRONG), "resamples": resamples, "seed": seed}
    ours = evaluate_router(
        gains,
        pairs.records,
        baselines=answer_peers,
        escalates=True,
        name="cascade, learned acceptance",
        **settings,
    )
    others = {"random": random_scores(len(questions), seed), **{k: np.array(v) for k, v in peers.items()}}
    before = evaluate_router(router, pairs.records, baselines=others, name="pre-router, fitted", **settings)
    print(
        f"\ncascade on {pairs.name}: {len(questions)} questions, 10-fold, 3 shuffles averaged, all calls paid"
    )
    print(f"  {'':34} {'APGR':24} {'CPT50':>6} {'CPT80':>6}  saved at 90%, 95%, 98% of {STRONG}")
    rows = [ours.router, *(row for row in ours.baselines if row.name != "prompt length")]
    for ranked in (*rows, before.router, *before.baselines, ours.oracle):
        saved = ", ".join("-" if found is None else percent(found) for found in ranked.saving_at.values())
        print(f"  {ranked.name:34} {ranked.apgr!s:24} {cpt(ranked, 0.5)} {cpt(ranked, 0.8)}  {saved}")
    print(f"  the oracle of the cascade is a perfect verifier; best single model: {ours.best_single.name} "
          f"{ours.best_single.quality} at ${ours.best_single.usd_per_1000:.2f} per 1,000")  # fmt: skip
    print(verdict("cascade APGR", ours.router.apgr.value, 0.75))
    best = max((before.router, *before.baselines), key=lambda ranked: ranked.apgr.value)
    scores = {"pre-router, fitted": router[:, 1] - router[:, 0], "prompt length": [len(t) for t in questions]}
    rival = {**others, **scores}[best.name]
    paired = (
        evaluate_router(gains, pairs.records, baselines={"best": rival}, escalates=True, **settings)
        .baselines[-1]
        .behind
    )
    mark = "ok  " if paired.low > 0 else "MISS"
    print(f"  {mark} above the best pre-router, {best.name}, by {paired} (paired)")
    saved = ours.router.saving_at[0.95]
    print(verdict("saved at 95% of strong accuracy", saved.value, 0.5))


def percent(found: Estimate) -> str:
    if found.low is None:
        return f"{found.value:.0%}"
    return f"{found.value:.0%} [{found.low:.0%}, {found.high:.0%}]"


def _acceptance(
    questions: Sequence[str], answers: Sequence[Answer], outcomes: Mapping[str, np.ndarray], seed: int
) -> np.ndarray:
    number = fold_numbers(questions, 10, seed)
    gains = np.empty(len(questions))
    for fold in range(10):
        train, test = np.flatnonzero(number != fold), np.flatnonzero(number == fold)
        acceptor = AnswerAcceptor(seed=seed).fit(
            [questions[at] for at in train],
            [answers[at] for at in train],
            outcomes[WEAK][train],
            next_right=outcomes[STRONG][train],
        )
        gains[test] = [acceptor.gain(questions[at], answers[at]) for at in test]
    return gains


# nine models


def nine_models(rows: Sequence[dict], seed: int) -> None:
    """Which of nine models to ask, with the task given and without, five folds."""
    models = sorted(rows[0]["scores"])
    texts, tasks = [row["query_text"] for row in rows], [row["dataset"] for row in rows]
    quality = np.array([[row["scores"][model] for model in models] for row in rows])
    outcomes = {model: quality[:, at] for at, model in enumerate(models)}
    number = fold_numbers(texts, 5, seed)
    text_only = out_of_fold(_maker(seed), texts, outcomes, folds=5, seed=seed)
    table, best_on_train = np.empty_like(quality), np.empty(len(rows), dtype=int)
    near = np.empty_like(quality)
    vectors = StaticEmbedder().embed(texts)
    for fold in range(5):
        train, test = np.flatnonzero(number != fold), np.flatnonzero(number == fold)
        learned = TaskTable().fit(
            [tasks[at] for at in train], {model: outcomes[model][train].tolist() for model in models}
        )
        table[test] = [[learned.chances(tasks[at])[model] for model in models] for at in test]
        best_on_train[test] = int(quality[train].mean(axis=0).argmax())
        alike = vectors[test] @ vectors[train].T
        near[test] = quality[train][np.argsort(-alike, axis=1)[:, :40]].mean(axis=1)
    rng = np.random.default_rng(seed)
    draws = [rng.integers(0, len(rows), len(rows)) for _ in range(1000)]
    at = np.arange(len(rows))
    picks = {
        "best single model (of the other folds)": best_on_train,
        "kNN, k = 40, built-in embedder": near.argmax(axis=1),
        "DifficultyClassifier, text alone": text_only.argmax(axis=1),
        "TaskTable, task given": table.argmax(axis=1),
        "table + text, task given": (table + text_only).argmax(axis=1),
        "oracle": quality.argmax(axis=1),
    }
    print(f"\nnine models, {len(rows)} questions of {len(set(tasks))} task sets, five folds; accuracy only")
    reached = {name: quality[at, pick] for name, pick in picks.items()}
    for name, got in reached.items():
        low, high = np.quantile([got[draw].mean() for draw in draws], [0.025, 0.975])
        print(f"  {name:40} {got.mean():.3f} [{low:.3f}, {high:.3f}]")
    knn, text = reached["kNN, k = 40, built-in embedder"], reached["DifficultyClassifier, text alone"]
    print(f"  {'ok  ' if text.mean() > knn.mean() else 'MISS'} without the task: above the learned baseline")
    per_task(tasks, models, quality, reached)


def per_task(
    tasks: Sequence[str], models: Sequence[str], quality: np.ndarray, reached: Mapping[str, np.ndarray]
) -> None:
    names = np.array(tasks)
    print(f"  {'task set':22} {'n':>4}  text  table oracle  best single model there")
    for task in sorted(set(tasks)):
        rows = names == task
        best = quality[rows].mean(axis=0)
        got = [
            reached[name][rows].mean()
            for name in ("DifficultyClassifier, text alone", "TaskTable, task given", "oracle")
        ]
        print(f"  {task:22} {rows.sum():4}  {got[0]:.3f} {got[1]:.3f} {got[2]:.3f}  "
              f"{models[int(best.argmax())]} {best.max():.3f}")  # fmt: skip


def _maker(seed: int) -> Callable[[], DifficultyClassifier]:
    return lambda: DifficultyClassifier(seed=seed)
