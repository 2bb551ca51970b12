"""Questions of customers in several wordings each, for synthetic traffic: who asks twice words it anew."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

__all__ = ["Question", "draw_question", "reword"]


class Question(NamedTuple):
    """One thing that a customer wants to know.

    Attributes:
        kind: Which way of asking fits it.
        topic: The place of its topic in that kind.
        thing: What it is about, with a number that no other question has.
        text: How it is worded.
    """

    kind: str
    topic: int
    thing: str
    text: str


def draw_question(random: Random, number: int) -> Question:
    """Draw a question about a thing that bears a number."""
    kind = random.choice(_KINDS)
    topic = random.randrange(len(_TOPICS[kind]))
    thing = _thing(kind, random, number)
    return Question(kind, topic, thing, _word(random, kind, topic, thing))


def reword(random: Random, question: Question, used: set[str]) -> Question:
    """Write the same question in another way than any of those used before.

    Half of those who ask again write the sentence carelessly or politely, most others build another sentence
    around the same words, and a few change the words as well.
    """
    for _ in range(200):
        if random.random() < _CARELESS:
            text = random.choice(_HABITS)(question.text)
        else:
            text = _word(random, question.kind, question.topic, question.thing)
            if random.random() > _FREELY and not _keeps_phrase(question, text):
                continue
        if text not in used:
            return question._replace(text=text)
    text = next(prefix + question.text for prefix in _PREFIXES if prefix + question.text not in used)
    return question._replace(text=text)


def _word(random: Random, kind: str, topic: int, thing: str) -> str:
    phrase = random.choice(_TOPICS[kind][topic]).format(x=thing)
    text = random.choice(_FRAMES[kind]).format(*_parts(phrase))
    return (random.choice(_PREFIXES) if random.random() < _GREETED else "") + text


def _keeps_phrase(question: Question, text: str) -> bool:
    phrases = [phrase.format(x=question.thing) for phrase in _TOPICS[question.kind][question.topic]]
    return any(all(part in text and part in question.text for part in _parts(one)) for one in phrases)


def _parts(phrase: str) -> tuple[str, ...]:
    """Take apart a phrase whose verb stands in a place of its own."""
    subject, bar, verb = phrase.partition("|")
    return (subject, verb) if bar else (subject,)


def _thing(kind: str, random: Random, number: int) -> str:
    if kind.endswith("order"):
        return f"{random.choice(('order', 'order no.', 'order'))} {number}"
    return f"{random.choice(_BRANDS)} {random.choice(_GOODS)} {number}"


_CARELESS = 0.5
_FREELY = 0.3  # of the rewordings that would change the words, how many do
_GREETED = 0.2  # how many begin with a greeting
_HABITS: tuple[Callable[[str], str], ...] = (
    str.lower,
    lambda text: text.rstrip("?."),
    lambda text: text.lower().rstrip("?."),
    lambda text: text.rstrip("?.") + "??",
    lambda text: f"{text} Thanks!",
    lambda text: f"{text} Thank you.",
    lambda text: f"Hi, {text}",
    lambda text: f"hello, {text.lower()}",
    lambda text: f"{text} Please help.",
)
_PREFIXES = ("Hi! ", "Hello. ", "Hi there. ", "Good morning. ", "Hey! ", "Quick question: ", "Please help. ")
_BRANDS = (
    *("Corvo", "Brightwave", "Nordlys", "Tamarin", "Halden", "Quillon", "Marisol", "Ostrava", "Pellworm"),
    *(
        "Saltmarsh",
        "Verdello",
        "Winslow",
        "Yarrow",
        "Zephyra",
        "Lindqvist",
        "Kestrel",
        "Fairholm",
        "Dovetail",
    ),
    *("Ambleside", "Birchwood", "Calloway", "Drumlin", "Eastbourne", "Foxglove", "Granby", "Hartwell"),
)
_GOODS = (
    *("kettle", "espresso machine", "toaster", "blender", "air purifier", "humidifier", "vacuum cleaner"),
    *("dishwasher", "freezer", "washing machine", "tumble dryer", "desk lamp", "ceiling fan", "projector"),
    *("soundbar", "turntable", "headset", "keyboard", "monitor", "router", "printer", "scanner", "webcam"),
    *("thermostat", "doorbell", "smoke alarm", "drill", "circular saw", "lawn mower", "hedge trimmer"),
    *("pressure washer", "sewing machine", "rice cooker", "slow cooker", "treadmill", "rowing machine"),
    *("stroller", "car seat", "bicycle", "scooter", "tent", "camping stove", "office chair", "bookshelf"),
)

# By kind: each topic in wordings that mean the same.
_TOPICS: dict[str, tuple[tuple[str, ...], ...]] = {
    "how": (
        ("reset the {x} to factory settings", "restore the factory settings of the {x}"),
        ("remove limescale from the {x}", "descale the {x}"),
        ("update the firmware of the {x}", "install a firmware update on the {x}"),
        ("connect the {x} to my phone", "pair the {x} with my phone"),
        ("clean the filter of the {x}", "wash the filter of the {x}"),
        ("replace the battery of the {x}", "change the battery in the {x}"),
        ("register the warranty of the {x}", "sign up for the warranty of the {x}"),
        ("mount the {x} on a wall", "fix the {x} to a wall"),
        ("turn off the beeping of the {x}", "mute the beeping of the {x}"),
        ("set a timer on the {x}", "program a timer on the {x}"),
        ("store the {x} over the winter", "put the {x} away for the winter"),
        ("get spare parts for the {x}", "order spare parts for the {x}"),
        ("book a repair of the {x}", "arrange a repair of the {x}"),
        ("dispose of the {x} properly", "recycle the {x} properly"),
        ("lock the buttons of the {x}", "enable the child lock of the {x}"),
        ("calibrate the sensor of the {x}", "adjust the sensor of the {x}"),
        ("read the error code on the {x}", "understand the error code on the {x}"),
        ("sharpen the blade of the {x}", "make the blade of the {x} sharp again"),
    ),
    "how_order": (
        ("cancel {x}", "call off {x}"),
        ("change the delivery address of {x}", "update the delivery address of {x}"),
        ("track {x}", "follow the shipment of {x}"),
        ("get an invoice for {x}", "download the invoice for {x}"),
        ("add an item to {x}", "put one more item on {x}"),
        ("use a voucher for {x}", "apply a voucher to {x}"),
        ("split the payment of {x}", "pay {x} in instalments"),
        ("report a missing part in {x}", "tell you about a missing part in {x}"),
        ("send back one item of {x}", "return one item of {x}"),
        ("pick up {x} at a store", "collect {x} at a store"),
        ("change the payment method of {x}", "switch the payment method of {x}"),
        ("gift wrap {x}", "have {x} gift wrapped"),
    ),
    "can": (
        ("use the {x} outdoors", "run the {x} outdoors"),
        ("put the {x} in the dishwasher", "wash the {x} in the dishwasher"),
        ("leave the {x} on overnight", "keep the {x} running overnight"),
        ("extend the warranty of the {x}", "prolong the warranty of the {x}"),
        ("return the {x} after 30 days", "send the {x} back after 30 days"),
        ("repair the {x} myself", "fix the {x} on my own"),
        ("use the {x} with a travel adapter", "run the {x} with a travel adapter"),
        ("exchange the {x} for another colour", "swap the {x} for another colour"),
        ("ship the {x} abroad", "have the {x} shipped abroad"),
        ("connect two phones to the {x}", "pair two phones with the {x}"),
        ("rent the {x} for a weekend", "hire the {x} for a weekend"),
        ("get a student discount on the {x}", "have a student discount on the {x}"),
    ),
    "can_order": (
        ("still change {x}", "still modify {x}"),
        ("combine {x} with a second one", "merge {x} with a second one"),
        ("have {x} delivered on a Saturday", "get {x} delivered on a Saturday"),
        ("pay for {x} by bank transfer", "settle {x} by bank transfer"),
        ("let a neighbour accept {x}", "have a neighbour take in {x}"),
        ("get {x} without packaging", "have {x} sent without packaging"),
        ("send {x} to a parcel locker", "ship {x} to a parcel locker"),
        ("get a refund for {x}", "have my money back for {x}"),
    ),
    "where": (
        ("the serial number of the {x}", "the {x}'s serial number"),
        ("the manual of the {x}", "the user guide of the {x}"),
        ("the fuse of the {x}", "the {x}'s fuse"),
        ("the reset button of the {x}", "the {x}'s reset button"),
        ("the energy label of the {x}", "the {x}'s energy label"),
        ("the drain plug of the {x}", "the {x}'s drain plug"),
        ("a service centre for the {x}", "a repair shop for the {x}"),
        ("the wiring diagram of the {x}", "the {x}'s wiring diagram"),
        ("the production date of the {x}", "the {x}'s production date"),
    ),
    "how_long": (
        ("the warranty of the {x}|last", "the {x}'s warranty|last"),
        ("the battery of the {x}|last", "the {x}'s battery|last"),
        ("the {x}|take to heat up", "the {x}|need to heat up"),
        ("the {x}|take to charge", "the {x}|need to charge"),
        ("a repair of the {x}|take", "the {x}'s repair|take"),
        ("the filter of the {x}|last", "the {x}'s filter|last"),
        ("a full cycle of the {x}|take", "one full cycle of the {x}|take"),
    ),
    "when_order": (
        ("{x}|arrive", "{x}|get here", "{x}|be delivered"),
        ("{x}|be shipped", "{x}|be sent out", "{x}|ship"),
        ("the refund for {x}|reach my account", "the refund for {x}|arrive on my account"),
        ("the rest of {x}|be delivered", "the remaining items of {x}|be delivered"),
        ("the replacement for {x}|be sent", "the replacement for {x}|be dispatched"),
    ),
    "why": (
        ("the {x}|beeping", "the {x}|making beeps"),
        ("the {x}|leaking", "the {x}|losing water"),
        ("the {x}|so loud", "the {x}|so noisy"),
        ("the {x}|not turning on", "the {x}|not starting"),
        ("the display of the {x}|blinking", "the {x}'s display|flashing"),
        ("the {x}|overheating", "the {x}|getting too hot"),
        ("the {x}|disconnecting", "the {x}|losing its connection"),
    ),
}
_HOW = (
    "How do I {}?",
    "How can I {}?",
    "What is the best way to {}?",
    "Could you tell me how to {}?",
    "Can you explain how to {}?",
    "How to {}?",
    "I want to {}. How do I do that?",
    "Please tell me how I can {}.",
    "How would I {}?",
    "I need to {}, how does that work?",
    "What do I have to do to {}?",
)
_CAN = (
    "Can I {}?",
    "Is it possible to {}?",
    "Could I {}?",
    "Am I able to {}?",
    "Would it be possible to {}?",
    "Is there a way to {}?",
    "May I {}?",
    "I would like to {}. Is that possible?",
)
_FRAMES: dict[str, tuple[str, ...]] = {
    "how": _HOW,
    "how_order": _HOW,
    "can": _CAN,
    "can_order": _CAN,
    "where": (
        "Where do I find {}?",
        "Where can I find {}?",
        "Can you tell me where to find {}?",
        "Where is {}?",
        "I cannot find {}. Where is it?",
        "I am looking for {}, where is it?",
    ),
    "how_long": (
        "How long does {} {}?",
        "How much time does {} {}?",
        "Can you tell me how long {} will {}?",
        "Do you know how long {} will {}?",
        "I would like to know how long {} should {}.",
        "Roughly how long does {} {}?",
    ),
    "when_order": (
        "When will {} {}?",
        "Can you tell me when {} will {}?",
        "Do you know when {} will {}?",
        "I would like to know when {} will {}.",
        "On which day will {} {}?",
    ),
    "why": (
        "Why is {} {}?",
        "What is the reason that {} is {}?",
        "Can you tell me why {} is {}?",
        "Do you know why {} is {}?",
        "How come {} is {}?",
        "I wonder why {} is {}.",
    ),
}
_KINDS = tuple(_TOPICS)
