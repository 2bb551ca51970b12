"""Audits made by hand, for what renders them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tokenomics_core.traffic import Audit, AuditLine, WasteFinding

START = datetime(2026, 3, 2, 8, tzinfo=UTC)


def line(key, usd="1", *, label=None, calls=10, unpriced=0, avoidable="0", share=0.1, rest=0):
    return AuditLine(
        key=key,
        label=(key or "") if label is None else label,
        calls=calls,
        usd=Decimal(usd),
        share=share,
        unpriced_calls=unpriced,
        input_tokens=1000 * calls,
        cache_read_tokens=100 * calls,
        output_tokens=50 * calls,
        avoidable_usd=Decimal(avoidable),
        rest=rest,
    )


def finding(kind="exact_repeats", usd="2", **more):
    values = {
        "title": "The same request again",
        "calls": 7,
        "usd_per_month": Decimal(usd) * 3,
        "confidence": "high",
        "fix": 'set_llm_cache(SemanticCache(path="cache.db"))',
        "why": "They are equal.",
        "examples": ("log.jsonl:7", "log.jsonl:9"),
        "by_feature": {"chat": Decimal("1.5"), "": Decimal("0.5")},
    }
    return WasteFinding(kind=kind, usd=Decimal(usd), **values | more)


def audit(name="model-a", *, users=3, days=3, wastes=None, **more):
    """Make an audit in which names that a log could hold are what is given."""
    values = {
        "rows": 1000,
        "paid_calls": 1000,
        "total_usd": Decimal("12.5"),
        "avoidable_usd": Decimal("2.5"),
        "since": START,
        "until": START + timedelta(days=days),
        "span_days": float(days),
        "lines": {
            "model": (line(name, "8", share=0.64, avoidable="2"), line("model-b", "4.5", share=0.36)),
            "feature": (line(name, "9", share=0.72, avoidable="1"), line(None, "3.5", label="", share=0.28)),
            "user": tuple(line(f"{name}{number}", str(users - number)) for number in range(users)),
            "template": (line("4fd2", "12.5", label=f"You are {name}", share=1.0),),
            "hour": tuple(line(f"{hour:02d}", str(1 + hour % 5)) for hour in range(6, 20)),
            "day": tuple(
                line((START + timedelta(days=number)).date().isoformat(), str(1 + number % 7))
                for number in range(days)
            ),
        },
        "wastes": (
            finding(),
            finding("dear_model", "1", title="Easy questions", confidence="low", probability=0.8),
        )
        if wastes is None
        else wastes,
        "notes": ("Prices are of today.",),
    }
    return Audit(**values | more)


def empty_audit():
    return Audit(rows=0)


def unpriced_audit():
    """Make an audit of calls whose model has no price."""
    lines = {
        dimension: (line(name, "0", calls=40, unpriced=40, share=0.0),)
        for dimension, name in (("model", "in-house-7b"), ("feature", "chat"), ("user", "ada"))
    }
    return Audit(
        rows=40,
        paid_calls=40,
        unpriced_calls=40,
        unpriced_models={"in-house-7b": 40},
        since=START,
        until=START,
        lines=lines,
    )
