"""Settings come back from a file as they were, and a slip of the pen is told with what was meant."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenomics_core.cache import ChatRequest
from tokenomics_core.cache.content_guards import DEFAULT_GUARDS
from tokenomics_core.config import (
    BudgetSettings,
    CacheSettings,
    CompressSettings,
    LedgerSettings,
    LimitSettings,
    PriceSettings,
    RouterSettings,
    Settings,
    TierSettings,
)
from tokenomics_core.config._sections import GUARDS
from tokenomics_core.config._toml import write_toml
from tokenomics_core.errors import BudgetExceededError, ConfigurationError
from tokenomics_core.types import Attribution, Usage

words = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
names = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=10)
money = st.decimals(min_value=0, max_value=10_000, places=9)
maybe_name = st.none() | names
shares = st.floats(0.01, 0.49)

limits = st.builds(
    LimitSettings,
    scope=st.sampled_from(["user", "feature", "all", "team"]) | st.just(("user", "feature")),
    usd=money,
    calls=st.none() | st.integers(1, 10**6),
    match=st.dictionaries(names, words, max_size=2),
    window=st.sampled_from([None, "day", "month", "rolling 24h"]),
    alerts=st.just((0.8, 1.0)) | st.just(()),
    action=st.sampled_from(["refuse", "downgrade:weak"]),
)
caches = st.builds(
    CacheSettings,
    path=maybe_name,
    max_error=shares,
    seed=st.integers(),
    guards=st.lists(st.sampled_from(GUARDS), unique=True).map(tuple),
    ttl_s=st.none() | st.floats(1e-6, 1e9),
    tag_ttl_s=st.dictionaries(words, st.floats(0, 1e6), max_size=2),
    history=st.sampled_from(["exact", "none"]) | st.integers(0, 9),
    model_classes=st.dictionaries(words, words, max_size=2),
    epoch=words,
)
tiers = st.builds(
    TierSettings,
    name=names.filter(str.strip),
    model=names.filter(str.strip),
    price_usd_per_mtok=st.none() | st.tuples(money, money),
    capabilities=st.none() | st.lists(words, max_size=2).map(tuple),
    quality=st.floats(0, 1),
)
routers = st.builds(
    RouterSettings,
    tiers=st.lists(tiers, min_size=1, max_size=3, unique_by=lambda tier: tier.name).map(tuple),
    classifier=st.sampled_from(["shipped", "none", "heuristic"]),
    usd_per_1000=st.none() | money,
    seed=st.none() | st.integers(),
)
settings_values = st.builds(
    Settings,
    ledger=st.none() | st.builds(LedgerSettings, path=maybe_name),
    prices=st.none()
    | st.builds(
        PriceSettings,
        aliases=st.dictionaries(names, words, max_size=2),
        discounts=st.dictionaries(names, money, max_size=2),
    ),
    budgets=st.none() | st.builds(BudgetSettings, limits=st.lists(limits, max_size=3).map(tuple)),
    cache=st.none() | caches,
    router=st.none() | routers,
    compress=st.none() | st.builds(CompressSettings, ratio=st.none() | shares, marker=words),
)


@given(settings_values)
def test_settings_come_back_as_they_were_written(settings):
    assert Settings.load(settings.dumps()) == settings


@given(settings_values)
def test_what_is_written_is_written_the_same_again(settings):
    assert Settings.load(settings.dumps()).dumps() == settings.dumps()


def test_a_file_comes_back_as_it_was_written(tmp_path):
    settings = Settings(cache=CacheSettings(ttl_s=60), compress=CompressSettings(template="a\n{context}"))
    settings.dump(tmp_path / "tokenomics.toml")
    assert Settings.load(tmp_path / "tokenomics.toml") == settings
    assert [path.name for path in tmp_path.iterdir()] == ["tokenomics.toml"]


def test_a_section_that_is_named_is_on_and_one_that_is_not_is_off():
    settings = Settings.load("[cache]\n")
    assert settings.cache == CacheSettings()
    assert settings.budgets is settings.router is settings.compress is settings.ledger is None
    assert Settings.load("") == Settings()


def test_money_keeps_every_digit_that_was_written():
    text = '[[budgets.limits]]\nscope = "user"\nusd = "0.100000001"\n'
    assert Settings.load(text).budgets.limits[0].usd == Decimal("0.100000001")
    assert '"0.100000001"' in Settings.load(text).dumps()


def test_money_as_a_float_is_refused_and_told_to_be_quoted():
    with pytest.raises(ConfigurationError, match=r"limits\[0\].usd must be an amount in quotes.*not 0.1"):
        Settings.load('[[budgets.limits]]\nscope = "user"\nusd = 0.1\n')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[cahce]\n", "no setting 'cahce'; did you mean 'cache'"),
        ("[cache]\nmax_eror = 0.1\n", "cache has no setting 'max_eror'; did you mean 'max_error'"),
        ("[cache]\nttl = 5\n", "did you mean 'ttl_s'"),
        ('[cache]\nttl_s = "5"\n', "cache.ttl_s must be a number, not '5'"),
        ("[cache]\nseed = 0.5\n", "cache.seed must be a whole number, not 0.5"),
        ("[cache]\nseed = true\n", "cache.seed must be a whole number, not True"),
        ("[cache]\nttl_s = -5\n", "ttl_s must be above 0"),
        ("[cache]\nmax_error = 1.0\n", "max_error must be between 0 and 1"),
        ("[cache]\nmax_error = nan\n", "cache.max_error must be a number, not nan"),
        ('[cache]\npath = "a"\ndsn = "b"\n', "one place, not in path and dsn"),
        ('[cache]\nguards = ["erorr"]\n', "guards must be one of error, .*not 'erorr'"),
        ("[cache]\nthreshold = 0.9\n", "threshold is for policy 'fixed'"),
        ("[router]\n", "router needs tiers"),
        ('[[router.tiers]]\nname = "a"\n', r"router.tiers\[0\] needs model"),
        ('[router]\nshare = 0.1\nfloor = 0.2\n[[router.tiers]]\nname="a"\nmodel="b"\n', "share and floor"),
        ('[[budgets.limits]]\nscope = "user"\n', "needs usd, tokens or calls"),
        ('[[budgets.limits]]\nscope = "user"\ncalls = 1\nwindow = "dya"\n', "dya"),
        ("[compress]\nratio = 0\n", "ratio must be above 0"),
        ('[compress]\ntemplate = "no place"\n', "template must hold {context}"),
        ("cache = 3\n", "cache must be a table, not 3"),
        ("[cache\n", "is no TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(text, said):
    with pytest.raises(ConfigurationError, match=said):
        Settings.load(text)


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(ConfigurationError, match=r"nowhere.toml cannot be read"):
        Settings.load("nowhere.toml")


def test_one_setting_can_be_changed_by_name_from_a_text_or_a_value():
    settings = Settings.load('[[budgets.limits]]\nscope = "user"\nusd = "1.00"\n')
    changed = settings.with_value("cache.max_error", "0.05").with_value("budgets.limits.0.usd", "2.50")
    assert changed.cache.max_error == 0.05
    assert changed.budgets.limits[0].usd == Decimal("2.50")
    assert changed.value("budgets.limits.0.usd") == Decimal("2.50")
    assert settings.with_value("budgets.limits.0.calls", "7").budgets.limits[0].calls == 7
    assert changed.with_value("cache.ttl_s", 60.0).with_value("cache.ttl_s", None).cache.ttl_s is None
    assert settings.cache is None


@pytest.mark.parametrize("name", ["cache.max_eror", "cache", "cahce.ttl_s", "budgets.limits.7.usd"])
def test_a_setting_that_is_not_there_cannot_be_changed(name):
    with pytest.raises(ConfigurationError):
        Settings.load("[budgets]\n").with_value(name, "1")


def test_the_guards_of_a_file_are_those_of_the_cache():
    assert tuple(guard.name for guard in DEFAULT_GUARDS) == GUARDS


def test_numbers_that_are_none_and_texts_that_no_file_holds_are_not_written():
    with pytest.raises(ConfigurationError, match="nan"):
        write_toml({"a": float("nan")})
    with pytest.raises(ConfigurationError, match="no text"):
        write_toml({"a": "\ud800"})


# -- what is built


def test_the_objects_that_are_built_are_those_that_the_file_describes(tmp_path):
    settings = Settings.load(
        f"""
        [ledger]
        path = "{tmp_path}/spend.db"
        [[budgets.limits]]
        scope = "user"
        usd = "1.00"
        [cache]
        path = "{tmp_path}/cache.db"
        max_error = 0.05
        ttl_s = 10
        guards = ["error"]
        [router]
        share = 0.2
        classifier = "heuristic"
        [[router.tiers]]
        name = "weak"
        model = "gpt-4.1-nano"
        [[router.tiers]]
        name = "strong"
        model = "gpt-4.1"
        """
    )
    now = [1_000.0]
    parts = settings.build(clock=lambda: now[0])
    try:
        parts.budgets.settle(parts.budgets.reserve(Attribution(user="ada"), usd="0.9"), usd="0.9")
        with pytest.raises(BudgetExceededError):
            parts.budgets.reserve(Attribution(user="ada"), usd="0.2")
        assert parts.cache.policy.max_error == 0.05
        parts.cache.put("p", "What is it?", "It is I.", usage=Usage(input_tokens=1, output_tokens=1))
        assert parts.cache.get("p", "What is it?").payload == "It is I."
        now[0] += 11
        assert parts.cache.get("p", "What is it?") is None
        assert [tier.name for tier in parts.router.tiers] == ["weak", "strong"]
        assert parts.router.policy.share == 0.2
        assert parts.ledger.total() == 0
    finally:
        parts.close()
    assert {path.name for path in tmp_path.iterdir()} >= {"spend.db", "cache.db"}


def test_settings_without_sections_build_prices_only():
    parts = Settings().build()
    built = {item.name for item in fields(parts) if getattr(parts, item.name) is not None}
    assert built == {"prices", "max_output_tokens"}


def test_under_an_exact_policy_no_question_is_served_by_meaning():
    rule = Settings.load('[cache]\npolicy = "exact"\n').build().rule
    asked = ChatRequest(messages=[{"role": "user", "content": "How do I reset it?"}], model="m")
    assert rule.key_of(asked).how == "exact"
    other = ChatRequest(messages=[{"role": "user", "content": "q"}], settings=None)
    assert rule.key_of(other).how == "never"


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("", "target_quality"),
        ("quality = 0.9", "target_quality"),
        ('usd_per_1000 = "0.5"', "target_cost"),
        ("share = 0.5", "target_share"),
        ("threshold = 0.1", "threshold"),
        ("floor = 0.5", "cheapest_good_enough"),
    ],
)
def test_a_target_becomes_its_policy(target, name):
    tier = '[[router.tiers]]\nname = "a"\nmodel = "gpt-4.1-nano"\nquality = 0.5\n'
    parts = Settings.load(f'[router]\nclassifier = "none"\n{target}\n{tier}').build()
    assert parts.router.policy.name == name
