"""What a router learned while it ran, as plain values that outlive the process."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._controller import Controller
from tokenomics_core.routing._costs import Costs
from tokenomics_core.routing._feedback import Feedback
from tokenomics_core.routing._protocols import Policy

__all__ = ["restore_state", "state_of"]

_VERSION = 1


def state_of(policies: Mapping[str, Policy], costs: Costs, feedback: Feedback) -> dict[str, Any]:
    """Return where controllers stand, how long answers are, and what feedback shifted, for JSON."""
    return {
        "version": _VERSION,
        "policies": {arm: _policy_state(policy) for arm, policy in policies.items()},
        "output_tokens": costs.lengths,
        "shifts": feedback.shifts,
    }


def restore_state(
    state: Mapping[str, Any], policies: Mapping[str, Policy], costs: Costs, feedback: Feedback
) -> None:
    """Go on from what `state_of` returned; arms and tiers that are no more are passed over.

    Raises:
        ConfigurationError: It is of another version, or of other policies, or holds no numbers; nothing was
            changed.
    """
    if not isinstance(state, Mapping) or state.get("version") != _VERSION:
        raise ConfigurationError(f"a router's state must be of version {_VERSION}, not {state!r:.80}")
    try:
        kept = {arm: (said["policy"], said["level"]) for arm, said in state["policies"].items()}
        lengths, shifts = dict(state["output_tokens"]), dict(state["shifts"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"a router's state lacks {error}; nothing was restored") from error
    _check_numbers([*lengths.values(), *shifts.values()])
    _check_numbers(level for _, level in kept.values() if level is not None)
    for arm, policy in policies.items():
        if arm in kept and kept[arm][0] != policy.name:
            raise ConfigurationError(
                f"the state is of policy {kept[arm][0]!r}, not of {policy.name!r}; nothing was restored"
            )
    for arm, policy in policies.items():
        level = kept.get(arm, (None, None))[1]
        resume = getattr(policy, "resume", None)
        if level is not None and resume is not None:
            resume(float(level))
    costs.restore(lengths)
    feedback.restore(shifts)


def _policy_state(policy: Policy) -> dict[str, Any]:
    controller = getattr(policy, "controller", None)
    return {
        "policy": policy.name,
        "level": controller.level if isinstance(controller, Controller) else None,
    }


def _check_numbers(values: Iterable[object]) -> None:
    for value in values:
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ConfigurationError(f"a router's state must hold numbers, not {value!r:.80}")
