"""Twenty prompts with nothing to spare, as (messages, tools); the planted ones are made from them."""

Message = dict[str, str]


def _chat(system: str, *turns: str) -> list[Message]:
    roles = ["user", "assistant"]
    return [
        {"role": "system", "content": system},
        *({"role": roles[at % 2], "content": text} for at, text in enumerate(turns)),
    ]


_TICKET_TOOL = {
    "type": "function",
    "function": {
        "name": "open_ticket",
        "description": "Open a ticket for the support team.",
        "parameters": {
            "type": "object",
            "properties": {"subject": {"type": "string"}, "priority": {"enum": ["low", "high"]}},
            "required": ["subject"],
        },
    },
}
_WEATHER_TOOL = {
    "name": "get_weather",
    "description": "Weather of a city on a day.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "day": {"type": "string", "format": "date"}},
    },
}

CLEAN: list[tuple[list[Message], list[dict]]] = [
    (
        _chat(
            "You answer questions about our returns policy in two sentences.", "How long can I return shoes?"
        ),
        [],
    ),
    (
        _chat(
            "Answer from the context only. Say that you do not know where it does not tell.",
            "Context:\nShoes may be returned within 30 days.\n\nSandals are excluded from returns in August."
            "\n\nQuestion: Can I return sandals in August?",
        ),
        [],
    ),
    (_chat("Translate German into English. Keep names.", "Der Zug nach Bremen fährt um 12 Uhr ab."), []),
    (
        _chat(
            "Classify the review as positive or negative.\n\n"
            "Example 1:\nReview: The battery lasts for days.\nLabel: positive"
            "\n\nExample 2:\nReview: It broke in a week.\nLabel: negative",
            "Review: The screen is bright and the sound is clear.",
        ),
        [],
    ),
    (_chat("You are a SQL assistant for PostgreSQL 16.", "Count the orders per customer in 2025."), []),
    (
        _chat(
            "You plan trips.",
            "Plan a day in Porto.",
            "Morning: Ribeira. Noon: Matosinhos. Evening: Foz.",
            "And if it rains?",
        ),
        [_WEATHER_TOOL],
    ),
    (
        _chat("You open tickets when a customer reports a fault.", "My router restarts every hour."),
        [_TICKET_TOOL],
    ),
    (
        _chat(
            "Extract the invoice number and the total as JSON with the keys number and total.",
            "Invoice 2025-0417 of 3 March 2025, total 1,240.50 EUR, due in 14 days.",
        ),
        [],
    ),
    (_chat("Explain Python code to beginners.", "What does `sorted(names, key=len)` do?"), []),
    (
        _chat(
            "Summarise the passage in one sentence.",
            "<context>The Danube rises in the Black Forest. It flows through ten countries. "
            "It ends in the Black Sea, where its delta is a reserve.</context>\nWhich countries border it?",
        ),
        [],
    ),
    (
        _chat(
            "You write commit messages in the imperative, at most 50 characters.",
            "I renamed the module billing to invoices.",
        ),
        [],
    ),
    (
        _chat(
            "Rate the risk of the clause from 1 to 5 and name the reason.",
            "The supplier may change prices with a week's notice.",
        ),
        [],
    ),
    (
        _chat(
            "You are a tutor for physics. Ask back before you give a result.",
            "A ball falls from 20 m. How fast is it at the ground?",
            "Which quantity stays the same during the fall?",
            "The energy.",
        ),
        [],
    ),
    ([{"role": "user", "content": "Name three uses of baking soda."}], []),
    (
        [
            {"role": "system", "content": "You look up orders with the tool and answer in one sentence."},
            {"role": "user", "content": "Where is order 7731?"},
            {"role": "assistant", "content": "I will look it up."},
            {"role": "tool", "content": '{"order":7731,"status":"shipped","carrier":"DHL"}'},
        ],
        [],
    ),
    (
        _chat(
            "Write alt texts for pictures: what is seen, no opinion, up to 20 words.",
            "A dog jumps over a fence at sunset.",
        ),
        [],
    ),
    (
        _chat(
            "Turn notes into minutes with the headings Decisions and Tasks.",
            "We ship on Friday. Ana tests. Budget stays.",
        ),
        [],
    ),
    (
        _chat(
            "Correct spelling. Change nothing else.\n\n"
            "House style:\n- British spelling\n- no serial comma\n- numbers up to ten as words",
            "The color of the 3 organizations' logos were changed.",
        ),
        [],
    ),
    (
        _chat(
            "You review contracts under German law. Cite the paragraph.",
            "May a landlord keep the deposit for a year?",
        ),
        [],
    ),
    (
        _chat(
            "Write a product text from the facts. Invent nothing.",
            "Facts: oak, 120 x 60 cm, oiled, made in Slovenia, 24 kg, five years of warranty.",
        ),
        [_TICKET_TOOL, _WEATHER_TOOL],
    ),
]
