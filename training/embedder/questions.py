# ruff: noqa: E501 - phrases stay on one line
"""Everyday questions to learn from, made from a small grammar: every intent in many wordings.

The text is the project's own. An intent is what is wanted of what; its wordings differ in verb, noun, form and tone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

__all__ = ["generate"]

# What can be meant, in the words people have for it.
THINGS = {
    "card": "card|bank card|debit card|credit card|plastic card",
    "virtual card": "virtual card|online card|digital card|disposable card",
    "pin": "PIN|PIN code|card code|secret number",
    "transfer": "transfer|bank transfer|money transfer|wire",
    "payment": "payment|card payment|purchase|transaction",
    "direct debit": "direct debit|standing order|recurring payment|automatic payment",
    "withdrawal": "cash withdrawal|ATM withdrawal|withdrawal at the cash machine|money from the ATM",
    "top-up": "top-up|top up|money I added|load onto my account",
    "account": "account|profile|user account|online account",
    "bank account": "bank account|current account|checking account",
    "savings": "savings|savings account|deposit|money put aside",
    "loan": "loan|credit|mortgage|borrowed money",
    "balance": "balance|account balance|amount left|remaining money",
    "statement": "statement|account statement|monthly overview|list of transactions",
    "exchange rate": "exchange rate|conversion rate|currency rate|rate for foreign money",
    "foreign currency": "foreign currency|another currency|dollars|euros|pounds",
    "fee": "fee|charge|extra cost|commission",
    "refund": "refund|money back|reimbursement|return of my money",
    "cheque": "cheque|check|bank draft",
    "cashback": "cashback|reward|bonus points|loyalty points",
    "identity check": "identity check|verification|proof of identity|ID check",
    "password": "password|login password|passcode|sign-in secret",
    "app": "app|mobile app|application on my phone",
    "phone": "phone|mobile|smartphone|handset",
    "laptop": "laptop|notebook|computer|PC",
    "subscription": "subscription|plan|membership",
    "free trial": "free trial|trial period|test period",
    "invoice": "invoice|bill|receipt",
    "order": "order|parcel|package|delivery|shipment",
    "tracking number": "tracking number|shipment number|parcel code",
    "address": "address|delivery address|postal address|shipping address",
    "e-mail address": "e-mail address|email|mail address",
    "phone number": "phone number|mobile number|contact number",
    "name": "name|surname|last name|family name",
    "appointment": "appointment|booking|time slot|visit",
    "flight": "flight|plane ticket|air ticket|plane",
    "hotel room": "hotel room|hotel|room|accommodation",
    "train ticket": "train ticket|rail ticket|seat on the train",
    "luggage": "luggage|suitcase|bag|baggage",
    "visa": "visa|travel permit|entry permit",
    "passport": "passport|ID card|identity document",
    "rental car": "rental car|hire car|car I rented",
    "car": "car|vehicle|automobile",
    "insurance": "insurance|insurance policy|cover|coverage",
    "claim": "claim|insurance claim|damage report",
    "contract": "contract|agreement|terms",
    "prescription": "prescription|medicine|medication|pills",
    "test result": "test result|lab result|blood test",
    "doctor": "doctor|physician|GP|specialist",
    "health record": "health record|medical file|patient record",
    "course": "course|class|lesson|training",
    "exam": "exam|test|final exam|assessment",
    "grade": "grade|mark|score",
    "homework": "homework|assignment|exercise sheet",
    "scholarship": "scholarship|grant|student aid",
    "salary": "salary|pay|wage|paycheck",
    "holiday": "holiday|vacation|leave|days off",
    "sick leave": "sick leave|sick note|illness at work",
    "timesheet": "timesheet|working hours|time record",
    "expense report": "expense report|travel expenses|expenses",
    "tax return": "tax return|taxes|tax declaration",
    "pension": "pension|retirement fund|retirement savings",
    "router": "router|modem|internet box",
    "internet": "internet|wifi|connection|broadband",
    "software": "software|program|tool",
    "update": "update|new version|upgrade|patch",
    "backup": "backup|safety copy|saved copy",
    "file": "file|document|attachment",
    "database": "database|table|records",
    "server": "server|machine|host",
    "api key": "API key|access token|credentials",
    "error message": "error message|error|warning",
    "printer": "printer|printing|print job",
    "screen": "screen|display|monitor",
    "battery": "battery|charge|power",
    "washing machine": "washing machine|washer|laundry machine",
    "fridge": "fridge|refrigerator|freezer",
    "heating": "heating|radiator|thermostat",
    "light": "light|lamp|bulb",
    "alarm": "alarm|wake-up call|alarm clock",
    "reminder": "reminder|note to myself|notification",
    "calendar": "calendar|schedule|agenda|diary",
    "meeting": "meeting|call|conference|get-together",
    "song": "song|music|track|playlist",
    "podcast": "podcast|radio show|audio book",
    "film": "film|movie|show|series",
    "recipe": "recipe|dish|meal|way to cook it",
    "restaurant": "restaurant|table|place to eat",
    "pizza": "pizza|takeaway|food delivery",
    "shopping list": "shopping list|grocery list|list of things to buy",
    "weather": "weather|forecast|temperature outside",
    "traffic": "traffic|route|way to work|congestion",
    "parking": "parking|parking space|car park",
    "bus": "bus|public transport|tram",
    "gym": "gym|fitness club|workout",
    "ticket": "concert ticket|ticket|admission|seat",
    "gift card": "gift card|voucher|coupon|promo code",
    "discount": "discount|price reduction|special offer",
    "guarantee": "guarantee|warranty|service plan",
    "shoes": "shoes|trainers|boots",
    "jacket": "jacket|coat|clothes",
    "sofa": "sofa|couch|furniture",
    "dog": "dog|pet|cat",
    "garden": "garden|plants|lawn",
    "rent": "rent|monthly rent|tenancy",
    "flat": "flat|apartment|house",
    "electricity": "electricity|power supply|energy",
    "election": "election|vote|ballot",
    "licence": "driving licence|driver's license|permit",
    "complaint": "complaint|feedback|problem report",
    "newsletter": "newsletter|marketing mails|advertising",
    "data": "personal data|data|information you hold about me",
    "language": "language|interface language|translation",
    "game": "game|level|high score",
    "photo": "photo|picture|image",
}

# What people want to do with it.
DEEDS = {
    "cancel": "cancel|call off|terminate|get rid of|stop",
    "order": "order|get|request|apply for",
    "change": "change|update|edit|modify|correct",
    "find": "find|locate|look up|see",
    "activate": "activate|switch on|enable|set up|start using",
    "deactivate": "deactivate|switch off|disable|turn off",
    "block": "block|freeze|lock|suspend",
    "unblock": "unblock|unfreeze|unlock|reactivate",
    "renew": "renew|extend|prolong",
    "replace": "replace|exchange|swap",
    "return": "return|send back|give back",
    "delete": "delete|remove|erase|close for good",
    "share": "share|give someone access to|use together with someone",
    "move": "move|transfer|take over to another place",
    "pay for": "pay for|settle|cover the cost of",
    "check": "check|verify|confirm|make sure about",
    "track": "track|follow|see the status of",
    "download": "download|save|export|get a copy of",
    "print": "print|get on paper|have a hard copy of",
    "repair": "repair|fix|mend|get working again",
    "book": "book|reserve|schedule",
    "reset": "reset|recover|restore",
    "compare": "compare|choose between kinds of|pick the best",
    "sell": "sell|find a buyer for",
    "buy": "buy|purchase|get hold of",
    "increase": "increase|raise|make higher",
    "reduce": "reduce|lower|bring down",
    "explain": "understand|make sense of|have explained",
    "dispute": "dispute|challenge|contest|object to",
    "clean": "clean|wash|take care of",
    "connect": "connect|link|pair|add to my other devices",
    "translate": "translate|say in another language",
}

DEED_FORMS = (
    "How do I {deed} my {thing}?",
    "how can i {deed} the {thing}",
    "I want to {deed} my {thing}.",
    "I would like to {deed} a {thing}, please",
    "Can you help me {deed} my {thing}?",
    "What do I have to do to {deed} my {thing}?",
    "Is it possible to {deed} a {thing}?",
    "Where can I {deed} my {thing}?",
    "please {deed} my {thing}",
    "I need to {deed} the {thing} right away",
    "what's the procedure to {deed} a {thing}",
    "Tell me the steps to {deed} my {thing}",
    "Can I {deed} my {thing} online?",
    "I'm trying to {deed} my {thing} but I don't know how",
    "Am I able to {deed} the {thing} in the app?",
    "{deed} my {thing}",
)

# What can be the matter with it, each in many forms.
MATTERS = {
    "lost": "I lost my {thing}|My {thing} is missing|I can't find my {thing} anywhere|what if i lose my {thing}|"
    "someone may have found my {thing}|I misplaced the {thing}, what now?",
    "stolen": "My {thing} was stolen|Somebody took my {thing}|I think a thief has my {thing}|my {thing} got stolen, help",
    "broken": "My {thing} is broken|The {thing} does not work|my {thing} stopped working|"
    "there is something wrong with my {thing}|Why isn't my {thing} working?|the {thing} seems to be out of order",
    "late": "My {thing} has not arrived|Where is my {thing}?|I am still waiting for my {thing}|"
    "the {thing} is taking too long|When will my {thing} get here?|my {thing} still hasn't come",
    "duration": "How long does the {thing} take?|how many days until the {thing} is there|"
    "When can I expect the {thing}?|What is the usual time for a {thing}?|will the {thing} be quick",
    "refused": "Why was my {thing} declined?|My {thing} was rejected|the {thing} did not go through|"
    "my {thing} failed|They would not accept my {thing}|What is the reason that my {thing} was refused?",
    "pending": "My {thing} is still pending|Why is the {thing} not completed yet?|the {thing} shows as in progress|"
    "how long will my {thing} stay pending",
    "twice": "I was charged twice for my {thing}|The {thing} appears two times|there's a duplicate {thing}|"
    "why do I see my {thing} double",
    "unknown": "I don't recognise this {thing}|There is a {thing} that I did not make|Where does this {thing} come from?|"
    "I have never asked for that {thing}",
    "wrong": "The {thing} is wrong|My {thing} is not correct|there's a mistake in my {thing}|"
    "I got the wrong {thing}|the {thing} doesn't match what I expected",
    "cost": "How much does a {thing} cost?|What is the price of the {thing}?|what do you charge for a {thing}|"
    "Is the {thing} free?|Are there fees for the {thing}?|do I have to pay for a {thing}",
    "extra cost": "Why was I charged extra for my {thing}?|I paid a fee for the {thing}, why?|"
    "there is an additional cost on my {thing}|what is this charge for the {thing}",
    "limit": "Is there a limit for the {thing}?|How many times can I use the {thing}?|what is the maximum {thing}|"
    "how much {thing} am I allowed",
    "where": "Where do I find my {thing}?|Where can I see the {thing}?|in which menu is the {thing}|"
    "show me my {thing}|I'm looking for the {thing}",
    "what": "What is a {thing}?|What does {thing} mean?|explain {thing} to me|tell me about the {thing}",
    "why needed": "Why do I need a {thing}?|What is the {thing} good for?|why do you ask for my {thing}|"
    "is the {thing} really necessary",
    "when": "When is my {thing}?|what time is the {thing}|On which day is the {thing}?|tell me the date of my {thing}",
    "eligible": "Who can get a {thing}?|Am I allowed to have a {thing}?|what are the requirements for a {thing}|"
    "can my children have a {thing}|how old must one be for a {thing}",
    "countries": "In which countries does the {thing} work?|Can I use my {thing} abroad?|"
    "is the {thing} available in my country|does my {thing} work when I travel",
    "expired": "My {thing} has expired|the {thing} is about to run out|What happens when my {thing} ends?|"
    "how long is the {thing} valid",
    "forgot": "I forgot my {thing}|I can't remember my {thing}|what do I do if I don't know my {thing} any more",
    "second": "Can I have a second {thing}?|I'd like another {thing}|how many {thing}s may I have|"
    "is it possible to get one more {thing}",
    "safe": "Is my {thing} safe?|How is the {thing} protected?|can somebody else get at my {thing}|"
    "I am worried about the security of my {thing}",
    "good": "Is this {thing} any good?|Which {thing} do you recommend?|what's the best {thing}|"
    "Can you suggest a {thing}?",
    "person": "I want to talk to a person about my {thing}|Who can I call about the {thing}?|"
    "let me speak with someone about my {thing}|customer service for my {thing}",
    "not shown": "My {thing} does not show up|I can't see the {thing}|the {thing} isn't listed anywhere|"
    "why is my {thing} not visible",
    "changed": "Why has my {thing} changed?|My {thing} is different from yesterday|the {thing} went down|"
    "Why is my {thing} lower than before?",
    "accepted": "Where is the {thing} accepted?|Which shops take my {thing}?|can I use the {thing} everywhere|"
    "do you support {thing}",
    "not received": "I did not receive the {thing}|No {thing} was sent to me|you never gave me the {thing}|"
    "the {thing} has not been credited",
    "disappeared": "My {thing} disappeared|the {thing} was there and now it's gone|Why was my {thing} taken away?|"
    "my {thing} got cancelled without asking me",
}

TONES = (
    "{}",
    "{}",
    "{}",
    "{}",
    "Hi, {}",
    "Hello! {}",
    "{} Thanks!",
    "{} please help",
    "Hey, quick question: {}",
    "Sorry to bother you, but {}",
    "{} It is urgent.",
    "{} I don't understand it.",
    "I have a question. {}",
    "could you tell me: {}",
)


def generate(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield pairs of an intent and one of its wordings, drawn with a seed."""
    rng = random.Random(seed)
    things, deeds, matters = sorted(THINGS), sorted(DEEDS), sorted(MATTERS)
    for _ in range(count):
        thing = rng.choice(things)
        word = rng.choice(THINGS[thing].split("|"))
        if rng.random() < 0.4:
            deed = rng.choice(deeds)
            verb = rng.choice(DEEDS[deed].split("|"))
            text, intent = rng.choice(DEED_FORMS).format(deed=verb, thing=word), f"{deed} {thing}"
        else:
            matter = rng.choice(matters)
            text, intent = rng.choice(MATTERS[matter].split("|")).format(thing=word), f"{thing}: {matter}"
        text = rng.choice(TONES).format(text)
        yield intent, text if rng.random() < 0.7 else text.lower()
