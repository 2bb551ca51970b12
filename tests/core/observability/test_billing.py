"""A failed call costs what a provider would charge for it, no more and no less."""

import asyncio

import anthropic
import httpx
import openai
import pytest

from tokenomics_core.errors import BudgetExceededError, StoreError
from tokenomics_core.observability._billing import outcome_of, was_sent

REQUEST = httpx.Request("POST", "http://127.0.0.1/v1")


def _status(client, code):
    return client.APIStatusError("no", response=httpx.Response(code, request=REQUEST), body=None)


def _caused(error, cause):
    try:
        raise error from cause
    except type(error) as raised:
        return raised


SENT = {
    "cancelled": asyncio.CancelledError(),
    "stream closed": GeneratorExit(),
    "interrupted": KeyboardInterrupt(),
    "openai timeout": openai.APITimeoutError(request=REQUEST),
    "anthropic timeout": anthropic.APITimeoutError(request=REQUEST),
    "timeout": TimeoutError(),
    "read broke": _caused(openai.APIConnectionError(request=REQUEST), httpx.ReadError("reset")),
    "server hung up": httpx.RemoteProtocolError("peer closed connection"),
    "connection reset": ConnectionResetError(),
}
NEVER_SENT = {
    "refused": _caused(openai.APIConnectionError(request=REQUEST), httpx.ConnectError("refused")),
    "connect timeout": _caused(openai.APITimeoutError(request=REQUEST), httpx.ConnectTimeout("slow")),
    "rate limited": _status(openai, 429),
    "overloaded": _status(anthropic, 529),
    "bad request": _status(openai, 400),
    "bug in the application": ValueError("no prompt"),
}


@pytest.mark.parametrize("error", SENT.values(), ids=SENT)
def test_a_call_that_a_provider_received_is_billed(error):
    assert was_sent(error)


@pytest.mark.parametrize("error", NEVER_SENT.values(), ids=NEVER_SENT)
def test_a_call_that_was_refused_or_never_sent_is_not(error):
    assert not was_sent(error)


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_an_error_of_our_own_is_raised_before_sending_whatever_led_to_it():
    store_timed_out = _caused(StoreError("store", "timed out"), TimeoutError())
    assert not was_sent(store_timed_out)
    assert not was_sent(_caused(RuntimeError("wrapped by a framework"), store_timed_out))


def test_a_call_that_timed_out_after_another_was_refused_is_billed():
    refused = BudgetExceededError("user", "ada", "day", "usd", 1, 1, 1, "limit")
    assert was_sent(_caused(TimeoutError(), refused))


def test_a_chain_of_causes_that_bites_its_tail_ends():
    first, second = ValueError(), TypeError()
    first.__cause__, second.__cause__ = second, first
    assert not was_sent(first)


def test_the_way_a_call_ended_has_a_name():
    assert outcome_of(asyncio.CancelledError()) == "cancelled"
    assert outcome_of(GeneratorExit()) == "aborted"
    assert outcome_of(ValueError()) == "error"
