"""Tables from a scheduler's words to a cause and a remedy in plain ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """What something means, and what to do.

    Attributes:
        cause: the cause in plain words.
        fix: what to do about it.
    """

    cause: str
    fix: str


@dataclass(frozen=True)
class Reason:
    """One line of a table.

    Attributes:
        words: pattern of the scheduler's state word or reason; the first line that fits is taken.
        advice: what it means.
    """

    words: str
    advice: Advice


def table(*rows: tuple[str, str, str]) -> Reasons:
    """A table from rows of pattern, cause and fix."""
    return Reasons([Reason(words, Advice(cause, fix)) for words, cause, fix in rows])


@dataclass(frozen=True)
class Reasons:
    """All that is known of one scheduler's words."""

    rows: Sequence[Reason]

    def find(self, state: str, word: str, reason: str) -> Advice | None:
        """The first row that fits the reason, or else the word; None: none does."""
        for text in filter(None, (reason, word)):
            for row in self.rows:
                if re.search(row.words, text):
                    return row.advice
        return _GENERAL.get(state)


WAIT = "nothing; it starts when its turn comes"

_GENERAL = {
    "held": Advice("the job is held", "release it: hpctrain release RUN"),
    "waiting": Advice("the job waits in the queue", WAIT),
    "starting": Advice("the scheduler is starting the job", "wait a minute"),
    "running": Advice("the job runs", "nothing"),
    "ending": Advice("the job is ending", "wait a minute"),
}
