"""How directive lines are split into words; PBS and Slurm know quotes, Cobalt does not."""

from __future__ import annotations

_QUOTES = "\"'"


class UnbalancedQuoteError(ValueError):
    """A quote has no twin."""


def split_words(text: str, *, is_slurm: bool) -> list[str]:
    """Words of a #PBS or #SBATCH line, quotes taken away.

    Slurm ends the line at a `#` outside quotes, wherever it stands, and knows a backslash within
    quotes, too; PBS does neither (make_argv in OpenPBS src/cmds/qsub.c).

    Raises:
        UnbalancedQuoteError: a quote has no twin.
    """
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    escaped = False
    for char in text:
        if escaped:
            word, escaped = [*(word or []), char], False
        elif char == "\\" and (is_slurm or not quote):
            word, escaped = word or [], True
        elif quote:
            if char == quote:
                quote = ""
            else:
                word = [*(word or []), char]
        elif char in _QUOTES:
            word, quote = word or [], char
        elif char == "#" and is_slurm:
            break
        elif char.isspace():
            words, word = _end(words, word), None
        else:
            word = [*(word or []), char]
    if quote:
        raise UnbalancedQuoteError(quote)
    return _end(words, word)


def _end(words: list[str], word: list[str] | None) -> list[str]:
    return words if word is None else [*words, "".join(word)]


def split_outside_quotes(text: str, separator: str) -> list[str]:
    """Parts between separators that stand outside quotes."""
    parts, quote = [""], ""
    for char in text:
        if char in _QUOTES and quote in ("", char):
            quote = "" if quote else char
        if char == separator and not quote:
            parts.append("")
        else:
            parts[-1] += char
    return parts
