"""Four structured steps that let a cheap model answer more carefully, and what their extra tokens cost."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from tokenomics_core.errors import ConfigurationError
from tokenomics_core.routing._tier import Tier

__all__ = ["COGNITIVE_STEPS", "Scaffold", "ScaffoldStep", "scaffold_tier"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaffoldStep:
    """One call of the model.

    Attributes:
        name: What it is called in runs.
        instruction: What the model is told, after the conversation and what earlier steps found.
        answers: Whether what it says may be the answer; the others only prepare it.
    """

    name: str
    instruction: str
    answers: bool = False


COGNITIVE_STEPS = (
    ScaffoldStep(
        name="understand_question",
        instruction=(
            "Do not answer yet. Break down the request above: say what is asked, what is given, which "
            "conditions an answer must meet and which form it must have. List the key terms. Be brief."
        ),
    ),
    ScaffoldStep(
        name="recall_related",
        instruction=(
            "Do not give the final answer yet. Recall what bears on the request: facts, definitions, "
            "passages of the given context quoted word for word, similar problems and how they were solved. "
            "Say of each where it applies. Be brief."
        ),
    ),
    ScaffoldStep(
        name="examine_answer",
        instruction=(
            "Work out an answer from these notes. Then examine it: check each step, each number and each "
            "condition, and look for misreadings and contradictions with what is given. Say what is wrong, "
            "or that nothing is. End with the answer as it now stands."
        ),
    ),
    ScaffoldStep(
        name="backtrack",
        instruction=(
            "Write the final answer to the request above. Where the notes found a mistake, go back to the "
            "step before it and take another way. Give only the answer in the form that was asked for, "
            "without these notes."
        ),
        answers=True,
    ),
)
"""Understand the question, recall what is related, examine the answer, backtrack.

Source: the four tools of Ebouky, Bartezzaghi and Rigotti, "Eliciting Reasoning in Language Models with
Cognitive Tools", 2025, arXiv:2506.12115, as a fixed sequence; the wording is this package's own.
"""

Turn = tuple[str, str]


class Scaffold:
    """The steps as messages: an adapter makes the calls, and sync and async make the same ones.

    Args:
        steps: What to ask in turn; only the last answers.
        notes_role: The role of the turn that holds the instruction and the notes.

    Raises:
        ConfigurationError: There is no step, a step besides the last answers, or the last does not.
    """

    def __init__(self, steps: Sequence[ScaffoldStep] = COGNITIVE_STEPS, *, notes_role: str = "user") -> None:
        answering = [step.name for step in steps if step.answers]
        if not steps or answering != [steps[-1].name]:
            raise ConfigurationError(
                f"of a scaffold's steps exactly the last answers, not {answering!r} of "
                f"{[step.name for step in steps]!r}"
            )
        self.steps = tuple(steps)
        self.notes_role = notes_role

    def run(self) -> Generator[tuple[ScaffoldStep, Turn], str, str]:
        """Yield each step with the turn to put behind the conversation, take the reply, return the answer."""
        notes: list[str] = []
        reply = ""
        for step in self.steps:
            reply = yield step, (self.notes_role, prompt_of(step, notes))
            notes.append(f"[{step.name}]\n{reply.strip()}")
        return reply


def prompt_of(step: ScaffoldStep, notes: Sequence[str]) -> str:
    """Write one step's turn: what earlier steps found, then the instruction."""
    if not notes:
        return step.instruction
    found = "\n\n".join(notes)
    return f"Notes so far:\n\n{found}\n\n{step.instruction}"


def scaffold_tier(
    tier: Tier,
    *,
    name: str | None = None,
    steps: Sequence[ScaffoldStep] = COGNITIVE_STEPS,
    quality: float | None = None,
    input_factor: float | None = None,
    output_factor: float | None = None,
) -> Tier:
    """Make the tier of a scaffold over a tier's model, its extra calls priced.

    Args:
        tier: The model without a scaffold.
        name: Of the new tier; `NAME/scaffold` by default.
        steps: What it asks in turn.
        quality: Chance that its answer is good enough, where nothing was learned.
        input_factor: Input tokens of all calls over those of one plain call. By default one and a half times
            the number of steps: each reads the conversation, and the notes so far besides.
        output_factor: The same for output tokens; by default the number of steps, each as long as an answer.
    """
    count = float(len(Scaffold(steps).steps))
    return replace(
        tier,
        name=name if name is not None else f"{tier.name}/scaffold",
        quality=quality,
        capabilities=None if tier.capabilities is None else tier.capabilities - {"tools", "json_schema"},
        input_factor=input_factor if input_factor is not None else 1.5 * count,
        output_factor=output_factor if output_factor is not None else count,
    )
