"""Errors carry their numbers, survive pickling and say what did not happen."""

import pickle
from decimal import Decimal

import pytest

from tokenomics_core import (
    BudgetExceededError,
    ConfigurationError,
    MissingExtraError,
    StoreError,
    TokenomicsError,
    UnknownModelError,
)

ONE_OF_EACH = [
    BudgetExceededError("user", "ada", "day", "usd", Decimal(1), Decimal("0.95"), Decimal("0.10"), "limit"),
    ConfigurationError("limit must be 0 or more, not -1"),
    MissingExtraError("pandas", "notebook"),
    StoreError("costs.db", "it is locked; nothing was written"),
    UnknownModelError("my-model", "openai"),
]


@pytest.mark.parametrize("error", ONE_OF_EACH, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_with_its_message_and_values(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.args, vars(again)) == (str(error), error.args, vars(error))
    assert isinstance(again, TokenomicsError)


def test_an_exhausted_budget_is_no_value_error_and_carries_its_numbers():
    error = ONE_OF_EACH[0]
    assert not isinstance(error, (ValueError, TypeError))
    assert (error.scope, error.key, error.unit, error.requested) == ("user", "ada", "usd", Decimal("0.10"))
    assert "was not sent" in str(error)


def test_each_error_is_also_what_callers_already_catch():
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(MissingExtraError, ImportError)
    assert issubclass(UnknownModelError, LookupError)


def test_a_missing_extra_names_the_line_that_installs_it():
    assert "pip install 'token-economics[notebook]'" in str(MissingExtraError("pandas", "notebook"))
