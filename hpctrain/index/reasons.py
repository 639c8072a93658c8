"""Why a sample is bad: the codes in the column `reason`, and what each means."""

from __future__ import annotations

REASONS = {
    "missing-twin": "A file of the sample is not there.",
    "ambiguous": "Several files of one modality have the same key; the first keeps the sample.",
    "unequal-positions": "The names of the files give different positions of the camera.",
    "missing-position": "No name gives a position, and the rule asks for one.",
    "unequal-times": "The files were taken at times that differ by more than the rule allows.",
    "outside-window": "The time lies outside of the rule's window, or is not known.",
    "excluded": "The rule excludes the node, or excludes it at this time.",
    "unreadable": "A file cannot be opened, or is not of the kind that its name says.",
    "truncated": "A file ends before its own header says, or is empty.",
    "shape": "A file has another shape than the rule asks for, or than most files.",
    "dtype": "A file has another type than the rule asks for, or than most files.",
    "constant": "All values of a file are equal.",
    "nan": "A file has a value that is no finite number.",
    "duplicate": "Another sample has a file of the same content.",
    "listed-bad": "A list below bad_pairs/ names it; nothing else is known against it.",
    "moved": "A file lies below bad_pairs/; `--restore-bad` moves it back.",
}


def codes_of(reason: str) -> list[str]:
    """Codes in a cell of the column `reason`."""
    codes = [part.partition(":")[0] for part in reason.split("; ")] if reason else []
    known = [code for code in codes if code in REASONS]
    return known or codes[:1]  # a text may have a semicolon of its own
