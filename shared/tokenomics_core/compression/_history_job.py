"""Share out the room of a conversation among its turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenomics_core.compression._history_report import (
    CompressedHistory,
    DroppedTurn,
    HistoryReport,
    KeptMessage,
    KeptReason,
)
from tokenomics_core.compression._notes import EarlierNote, facts_of, heading_of, read_note, write_note
from tokenomics_core.compression._recall import Recall
from tokenomics_core.compression._summary import SummaryReport
from tokenomics_core.compression._turns import Message, Turn, plain_text, role_of, text_of, turns_of
from tokenomics_core.errors import ConfigurationError

__all__ = ["HistoryJob"]

_GOAL_SHARE = 0.25
_SUMMARY_SHARE = 0.25
_SHORT_NOTE_TOKENS = 64
_INSTRUCTING = ("system", "developer")


@dataclass(slots=True)
class HistoryJob:
    """One compression, in the steps between which a caller may wait for others."""

    messages: list[Message]
    budget: int
    count: Callable[[Sequence[Message]], int]
    note_role: str | None
    note_tokens: int
    turns: list[Turn] = field(default_factory=list)
    reasons: dict[int, KeptReason] = field(default_factory=dict)
    costs: list[int] = field(default_factory=list)
    scores: dict[int, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    summary: SummaryReport | None = None
    before: int = 0
    frame: int = 0
    query: str = ""
    about: Sequence[str] = ()
    recall: Recall | None = None
    texts: list[str] = field(default_factory=list)
    has_question: bool = True
    earlier_notes: dict[int, EarlierNote] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A small budget still has room to say that something is missing.
        self.note_tokens = max(self.note_tokens, min(_SHORT_NOTE_TOKENS, self.budget // 5))
        self.before = self.count(self.messages) if self.messages else 0

    @property
    def is_whole(self) -> bool:
        """Whether everything fits."""
        return self.before <= self.budget

    @property
    def older(self) -> list[Message]:
        """What may be left out, up to what stays for being the newest: it only grows at its end."""
        last = len(self.turns) - 1
        newest = min(n for n, reason in self.reasons.items() if reason in ("last", "question") or n == last)
        return [
            self.messages[place]
            for number, turn in enumerate(self.turns[:newest])
            if self.reasons.get(number) != "system"
            for place in turn.places
        ]

    @property
    def tokens_behind(self) -> int:
        """Tokens that follow the first message that may be left out, and stay."""
        first = next((n for n in range(len(self.turns)) if n not in self.reasons), len(self.turns))
        return sum(self.costs[n] for n in range(first, len(self.turns)) if n in self.reasons)

    def whole(self) -> CompressedHistory:
        """Keep everything."""
        kept = tuple(KeptMessage(place, "whole") for place in range(len(self.messages)))
        report = HistoryReport(self.before, self.before, self.budget, kept)
        return CompressedHistory(list(self.messages), self.before, self.before, report)

    def begin(self, query: str | None, keep_last: int, about: Sequence[str], *, pin_goal: bool) -> None:
        """Count turns and set aside what stays in any case."""
        self.about = about
        self.turns = turns_of(self.messages)
        self.frame = self.count([])
        self.costs = [
            max(self.count([self.messages[place] for place in turn.places]) - self.frame, 0)
            for turn in self.turns
        ]
        last = len(self.turns) - 1
        self._find_earlier_notes(last)
        users = [
            n
            for n, turn in enumerate(self.turns)
            if n not in self.earlier_notes and any(map(self._is_from_user, turn.places))
        ]
        self.query = query if query is not None else self._words(users[-1]) if users else ""
        for number, turn in enumerate(self.turns):
            if turn.is_system and number not in self.earlier_notes:
                self.reasons[number] = "system"
        self.reasons.setdefault(last, "last")
        needed = self.count(self._kept_messages())
        if needed > self.budget:
            raise ConfigurationError(
                f"max_tokens={self.budget} is less than instructions and last turn alone need "
                f"({needed} tokens); nothing was compressed"
            )
        if users and not self._try(users[-1], "question"):
            self.has_question = False
            self.remarks.append("the user's last message did not fit")
        self._keep_last(last, keep_last)
        goal = users[0] if users else last
        if pin_goal and self.costs[goal] <= _GOAL_SHARE * self._left():
            self._try(goal, "goal")

    def _find_earlier_notes(self, last: int) -> None:
        """Find notes of earlier compressions: what they say goes into the new one."""
        if self.note_role is None:
            return
        for number, turn in enumerate(self.turns[:last]):
            note = read_note(self.messages[turn.start]) if turn.end == turn.start + 1 else None
            if note is not None:
                self.earlier_notes[number] = note

    def read(self, *, recency: float, multilingual: bool, by_meaning: bool) -> None:
        """Read the words of what may be left out."""
        free = self._free()
        self.recall = Recall(
            ["\n".join(text_of(self.messages[place]) for place in self.turns[n].places) for n in free],
            [self.about[self.turns[n].start] for n in free],
            self.query,
            recency=recency,
            multilingual=multilingual,
        )
        self.texts = self.recall.texts if by_meaning else []

    def give_up(self, helper: str, error: Exception) -> None:
        """Remark that a helper failed."""
        self.remarks.append(f"the {helper} failed ({type(error).__name__}: {error!s:.200}); done without it")

    def judge(self, vectors: NDArray[Any] | None) -> None:
        """Score what may be left out."""
        free = self._free()
        if self.recall is None:
            return
        if vectors is not None and (vectors.shape[0] != len(self.texts) or not np.isfinite(vectors).all()):
            self.remarks.append("the embedder's vectors are not one finite row per text; done without them")
            vectors = None
        self.scores = dict(zip(free, map(float, self.recall.scores(vectors)), strict=True))

    def hear(self, summary: SummaryReport) -> None:
        """Take in what became of the summary."""
        self.summary = summary

    def finish(self) -> CompressedHistory:
        """Fill the room that is left, best first, and say what is missing."""
        wanted = self._note_room()
        left = self._left() - wanted
        ranked = sorted(self.scores, key=lambda n: (-self.scores[n], -n))
        chosen: list[int] = []
        for number in ranked:
            if self.costs[number] <= left:
                left -= self.costs[number]
                self.reasons[number] = "relevant"
                chosen.append(number)
        # Counts of parts may add up to less than that of the whole, as factors of families do.
        while chosen and self.count(self._kept_messages()) > self.budget:
            del self.reasons[chosen.pop()]
        return self._result(self._note_after_opening())

    def _note_after_opening(self) -> Message | None:
        """Write the note, and let what is sent begin with a user's words where the conversation did.

        Anthropic and many chat templates refuse a conversation that an assistant opens.
        """
        remarks = len(self.remarks)
        note = self._note()
        while self._opens_unasked(note) and (first := self._first_to_go()) is not None:
            del self.reasons[first]
            del self.remarks[remarks:]
            note = self._note()
        if self._opens_unasked(note):
            self.remarks.append("the assistant opens what is sent: no words of the user's fitted before it")
        return note

    def _opens_unasked(self, note: Message | None) -> bool:
        def opener(messages: Sequence[Message]) -> str:
            return next((role for one in messages if (role := role_of(one)) not in _INSTRUCTING), "user")

        # A note in another voice was wished for, and no turn that goes makes it the user's.
        counted = note if note is not None and note["role"] == "user" else None
        return opener(self._with_note(counted)) != "user" and opener(self.messages) == "user"

    def _first_to_go(self) -> int | None:
        """Return the first turn that is sent and need not be."""
        last = len(self.turns) - 1
        return next((n for n in sorted(self.reasons) if n != last and self.reasons[n] != "system"), None)

    def _result(self, note: Message | None) -> CompressedHistory:
        dropped = [n for n in range(len(self.turns)) if n not in self.reasons]
        sent = self._with_note(note)
        after = self.count(sent)
        report = HistoryReport(
            self.before,
            after,
            self.budget,
            tuple(
                KeptMessage(place, self.reasons[n])
                for n, turn in enumerate(self.turns)
                if n in self.reasons
                for place in turn.places
            ),
            tuple(
                DroppedTurn(tuple(self.turns[n].places), self.costs[n], self.scores.get(n)) for n in dropped
            ),
            None if note is None else str(note["content"]),
            self.summary,
            tuple(self.remarks),
            self.has_question,
        )
        return CompressedHistory(sent, self.before, after, report)

    def _try(self, number: int, reason: KeptReason) -> bool:
        """Keep a turn if all that is kept then fits."""
        if number in self.reasons:
            return True
        self.reasons[number] = reason
        if self.count(self._kept_messages()) <= self.budget:
            return True
        del self.reasons[number]
        return False

    def _keep_last(self, last: int, keep_last: int) -> None:
        number, kept = last, len(self.turns[last].places)
        while kept < keep_last and number > 0:
            number -= 1
            if number in self.earlier_notes:
                continue
            if not self._try(number, "last"):
                break
            kept += len(self.turns[number].places)

    def _note_room(self) -> int:
        if self.note_role is None:
            return 0
        room = self.note_tokens
        if text := self._summary_text():
            room += min(
                self.count([{"role": self.note_role, "content": text}]), int(_SUMMARY_SHARE * self.budget)
            )
        return min(room, self._left())

    def _summary_text(self) -> str:
        """Return the newest summary; one that an earlier note holds is read by those written since."""
        if self.summary is not None and self.summary.text:
            return self.summary.text
        return "\n".join(note.summary for note in self.earlier_notes.values() if note.summary)

    def _note(self) -> Message | None:
        dropped = [n for n in range(len(self.turns)) if n not in self.reasons]
        if self.note_role is None or not dropped:
            return None
        role = self.note_role
        places = [place for n in dropped for place in self.turns[n].places]
        scores = {place: self.scores.get(n, 0.0) for n in dropped for place in self.turns[n].places}
        free = self.budget - self.count(self._kept_messages())
        room = min(free, self._note_room_for_text())

        def fits(text: str) -> bool:
            return self.count([{"role": role, "content": text}]) - self.frame <= room

        summary = self._summary_text()
        text = write_note(
            heading_of(self.messages, places), summary, facts_of(self.messages, places, scores), fits
        )
        note = {"role": role, "content": text}
        if not text or self.count(self._with_note(note)) > self.budget:
            self.remarks.append("no note: there was no room for one")
            return None
        if summary and summary not in text:
            self.remarks.append("no summary in the note: there was no room for it")
        return note

    def _note_room_for_text(self) -> int:
        room = self.note_tokens
        return room + (int(_SUMMARY_SHARE * self.budget) if self._summary_text() else 0)

    def _with_note(self, note: Message | None) -> list[Message]:
        """Put the note behind the instructions that stand first, so that their cached prefix lives on."""
        kept = self._kept_messages()
        if note is None:
            return kept
        head = 0
        while head < len(kept) and role_of(kept[head]) in _INSTRUCTING:
            head += 1
        return [*kept[:head], note, *kept[head:]]

    def _kept_messages(self) -> list[Message]:
        return [
            self.messages[place]
            for n, turn in enumerate(self.turns)
            if n in self.reasons
            for place in turn.places
        ]

    def _left(self) -> int:
        return self.budget - self.count(self._kept_messages())

    def _free(self) -> list[int]:
        return [n for n in range(len(self.turns)) if n not in self.reasons and n not in self.earlier_notes]

    def _is_from_user(self, place: int) -> bool:
        return bool(role_of(self.messages[place]) == "user" and plain_text(self.messages[place]).strip())

    def _words(self, number: int) -> str:
        spoken = [plain_text(self.messages[p]) for p in self.turns[number].places if self._is_from_user(p)]
        return "\n".join(spoken)
