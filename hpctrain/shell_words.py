"""Words of a command that the run script expands; all others it quotes."""

from __future__ import annotations


class ShellVariable(str):
    """A word that the script must expand: rendered as `"$NAME"`, where all others are quoted."""


class ShellText(str):
    """A word of several parts, some of them variables: rendered as `"--bind=$run"`."""

    parts: tuple[str, ...]

    def __new__(cls, *parts: str) -> ShellText:
        """Make it of plain texts and of `ShellVariable`s."""
        word = super().__new__(cls, "".join(parts))
        word.parts = parts
        return word
