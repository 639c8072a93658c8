"""Keeps what is secret off the page and out of the ticket."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(
    r"TOKEN|SECRET|PASS(WD|WORD|PHRASE|$)|(^|_)PASS_|CREDENTIAL|COOKIE|API_?KEY|ACCESS_?KEY|PRIVATE|AUTH"
    r"|(^|_)KEY($|_)|SIGNATURE|SESSION",
    re.IGNORECASE,
)
_LOGIN_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_SHORTEST = 6
_MASK = "***"


def is_secret(name: str) -> bool:
    """Whether a variable's name says that its value is nobody else's business."""
    return _NAME.search(name) is not None


class Masker:
    """Replaces values of secret variables, wherever a program has printed them."""

    def __init__(self, env: Mapping[str, str]) -> None:
        values = {v for name, v in env.items() if is_secret(name) and len(v) >= _SHORTEST}
        # paths and switches stand all over a page, and say nothing
        self._values = sorted((v for v in values if not v.startswith("/")), key=len, reverse=True)

    def text(self, text: str) -> str:
        """A text without them, nor names and passwords in addresses."""
        for value in self._values:
            text = text.replace(value, _MASK)
        return _LOGIN_IN_ADDRESS.sub(_MASK, text)

    def value(self, name: str, value: str) -> str:
        """The value of a variable, as it may be shown."""
        return _MASK if is_secret(name) else self.text(value)

    def page(self, page: Any) -> Any:
        """A page for JSON, with all its texts masked."""
        if isinstance(page, str):
            return self.text(page)
        if isinstance(page, Mapping):
            return {
                str(k): _MASK if isinstance(v, str) and is_secret(str(k)) else self.page(v)
                for k, v in page.items()
            }
        if isinstance(page, list | tuple):
            return [self.page(item) for item in page]
        return page
