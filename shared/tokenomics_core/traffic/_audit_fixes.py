"""What each kind of waste is called, what ends it, and how far the figure can be believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from tokenomics_core.traffic._audit_result import Confidence

__all__ = ["WASTES", "WasteText"]


class WasteText(NamedTuple):
    """What is said of one kind of waste."""

    title: str
    confidence: Confidence
    fix: str
    why: str


WASTES: Final[Mapping[str, WasteText]] = {
    "exact_repeats": WasteText(
        "The same request again",
        "high",
        'set_llm_cache(SemanticCache(path="cache.db"))',
        "Model, settings, tools and every message equal those of a request of the same tenant and project "
        "that was answered within seven days before. All but the first are counted; that an answer stays "
        "right for seven days is for its owner to say (ttl_s).",
    ),
    "near_repeats": WasteText(
        "The same question in other words",
        "medium",
        'set_llm_cache(SemanticCache(path="cache.db"))',
        "All but the last turn is equal, and the response cache's own verifier and guards take the question "
        "for one that was answered within seven days before.",
    ),
    "unstable_prefix": WasteText(
        "Instructions that no provider can cache",
        "high",
        'messages = [system, *history, {"role": "user", "content": f"{question}\\n\\nTime: {now}"}]',
        "At least 1,024 tokens that never change stand behind a time, a number or an id that changed since "
        "the call before. Move it behind them, into the last message: calls within five minutes then read "
        "them at the price of a cache read. What writing them costs more is taken off. Anthropic's models "
        "also need marks: PromptCachingMiddleware(). tokenomics_core.prompts.analyze_prompt shows the place.",
    ),
    "oversized_context": WasteText(
        "Passages nobody needed",
        "medium",
        "ContextCompressor(ratio=0.25)  # LlamaIndex: ContextCompressionPostprocessor(ratio=0.25)",
        "Passages that stand in the same prompt word for word before, or share no word of meaning with "
        "question or answer; their tokens at the price of input.",
    ),
    "dear_model": WasteText(
        "Easy questions to a dear model",
        "low",
        'ModelRouter({"small": small, "large": large})  # LlamaIndex: RoutingLLM({...})',
        "The shipped difficulty classifier gives a strong model little advantage on the question. Counted is "
        "the difference to the same tokens on the cheaper model. From the text alone no classifier tells "
        "hard from easy well: fit one on your own outcomes (tokenomics router train) before you rely on it.",
    ),
    "runaway_runs": WasteText(
        "Agents that turn in circles",
        "high",
        "BudgetMiddleware(budgets, loop_guard=LoopGuard(max_same_calls=3))",
        "Calls of a run after the same tool call with the same arguments, or the same answer to the same "
        "turn, came for the third time.",
    ),
    "retries": WasteText(
        "Paid for in vain, and sent again",
        "high",
        'Budgets([Limit("run", usd="0.25", calls=40)])  # beside a longer timeout and max_tokens',
        "Paid calls that failed, were broken off or cut, and whose equal the same user sent within a minute "
        "after they ended; the first one's cost. A longer timeout or limit ends most of them; the budget "
        "bounds what the rest may cost.",
    ),
    "unbounded_outputs": WasteText(
        "Answers without an end",
        "low",
        "max_tokens = fit_output_length(output_tokens, coverage=0.99).max_tokens",
        "Calls without a limit whose output is more than four times their feature's median; counted is what "
        "lies above its 95th percentile. Some long answers may have been wanted.",
    ),
    "batchable": WasteText(
        "Jobs that could wait for a batch",
        "medium",
        'client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", '
        'completion_window="24h")',
        "Fifty calls of one template and more within ten minutes, outside any conversation, at the same time "
        "of day on three days and more; the difference to the provider's batch price, as "
        "PriceBook().cost(Usage(..., batch=True), model) tells it. Results come within a day.",
    ),
}
