"""The application that synthetic traffic comes from: a shop, its back office and its engineers.

The models' names are those of the price data that ships with genai-prices; `PriceBook` gives their prices.
"""

from __future__ import annotations

from typing import Any

from tokenomics_core.traffic._generate_call import Feature
from tokenomics_core.traffic._generate_texts import rules

__all__ = [
    "AGENT",
    "ANALYSIS",
    "BRIEFING",
    "CHEAP_MODEL",
    "CODE",
    "DOCUMENTS",
    "DRAFTING",
    "EDITS",
    "INCIDENTS",
    "LABELS",
    "SUPPORT",
]

CHEAP_MODEL = "gpt-4.1-mini"
"""The model that most calls go to; easy questions to the dear one could have gone there."""

_DEAR_MODEL = "gpt-4.1"


def _tool(name: str, description: str, **properties: str) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {
                    key: {"type": "string", "description": text} for key, text in properties.items()
                },
                "required": list(properties),
            },
        },
    }


_TOOLS = (
    _tool("search_orders", "Find orders by number, name or item.", query="What to look for."),
    _tool("get_customer", "Return a customer's record.", customer="Number of the customer."),
    _tool("check_stock", "Tell how many of an item are in a place.", item="The item.", place="The place."),
    _tool("add_note", "Write a note into a ticket.", ticket="Number of the ticket.", note="The note."),
)

SUPPORT = Feature(
    name="support_chat",
    project="storefront",
    model=CHEAP_MODEL,
    provider="openai",
    system=(
        "You answer customers of a shop for household goods. Be brief and friendly. Say only what you know "
        "from the notes and the order system; where you do not know, offer that a person calls back.\n"
        + rules("question", 5)
    ),
    settings={"temperature": 0.3},
)
DRAFTING = Feature(
    name="mail_drafting",
    project="storefront",
    model=CHEAP_MODEL,
    provider="openai",
    system="You draft letters to customers in the name of the service team.\n" + rules("letter", 6),
    settings={"temperature": 0.7},
)
DOCUMENTS = Feature(
    name="handbook_search",
    project="intranet",
    model="gemini-2.5-flash",
    provider="google",
    system="Answer from the passages only, and name the passage. If they do not tell, say so.",
    settings={"temperature": 0, "max_tokens": 600},
)
BRIEFING = Feature(
    name="morning_briefing",
    project="intranet",
    model=CHEAP_MODEL,
    provider="openai",
    system="You write briefings from notes.\n" + rules("briefing", 66),
    settings={"temperature": 0.2, "max_tokens": 500},
    cached=True,
)
INCIDENTS = Feature(
    name="incident_notes",
    project="operations",
    model=CHEAP_MODEL,
    provider="openai",
    system="You turn reports of incidents into notes for the log book.\n" + rules("report", 70),
    settings={"temperature": 0.2, "max_tokens": 500},
)
AGENT = Feature(
    name="order_agent",
    project="operations",
    model=CHEAP_MODEL,
    provider="openai",
    system="You solve tickets about orders with the tools you have, step by step.\n" + rules("ticket", 52),
    settings={"temperature": 0, "max_tokens": 1024},
    tools=_TOOLS,
    cached=True,
)
LABELS = Feature(
    name="ticket_labels",
    project="operations",
    model=CHEAP_MODEL,
    provider="openai",
    system=(
        "Sort the ticket into one queue: delivery, refund, repair, billing, returns, technical, praise, "
        "complaint or other. Answer with JSON that has a label and whether it is urgent."
    ),
    settings={"temperature": 0, "max_tokens": 40},
)
CODE = Feature(
    name="code_assistant",
    project="engineering",
    model="claude-sonnet-4-5",
    provider="anthropic",
    system="You help engineers to change code.\n" + rules("change", 60),
    settings={"max_tokens": 4096},
    cached=True,
)
ANALYSIS = Feature(
    name="contract_analysis",
    project="legal",
    model=_DEAR_MODEL,
    provider="openai",
    system="You analyse disputes for the legal department. Weigh both sides.\n" + rules("case", 8),
    settings={"temperature": 0.2, "max_tokens": 4000},
)
EDITS = Feature(
    name="quick_edits",
    project="intranet",
    model=_DEAR_MODEL,
    provider="openai",
    system="You edit short texts. Return the text only.",
    settings={"temperature": 0, "max_tokens": 200},
)
