"""Keeps what is secret off the page and out of the ticket."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

_NAME = re.compile(
    r"TOKEN|SECRET|PASS(WD|WORD|PHRASE|$)|(^|_)PASS_|CREDENTIAL|COOKIE|API_?KEY|ACCESS_?KEY|PRIVATE"
    r"|AUTH(?!ORS?(_|$))|(^|_)(KEY|PEM|JWT)($|_)|SIGNATURE|(?<!XDG_)(?<!DESKTOP_)SESSION",
    re.IGNORECASE,
)
_PROXY = re.compile(r"_PROXY$", re.IGNORECASE)
_LOGIN_IN_PROXY = re.compile(r"^([a-z][a-z0-9+.-]*://)?(.*)@", re.IGNORECASE | re.DOTALL)
_LOGIN_IN_ADDRESS = re.compile(
    # a name alone, or a name and what is no port; a password may hold anything but blanks
    r"(?<=://)(?=[^/\s@]*@|[^/\s@:]*:(?!\d*(?:/|\s|$)))\S*@(?!sha256:)"
)
_SETTING = re.compile(r"(?<![\w$])([A-Za-z_]\w*)=(\S+?)(?=[,;)]*(?:\s|$))")
_LONG = 6
"""Letters from which on a value is no common word, so that it is masked even within another."""
_SHORTEST = 4
_SWITCHES = ("auto", "basic", "false", "none", "null", "true", "user")
_MASK = "***"


def is_secret(name: str) -> bool:
    """Whether a variable's name says that its value is nobody else's business."""
    return _NAME.search(name) is not None


def cut(text: str, most: int) -> str:
    """The first letters of what a program said, or with `most` below 0 the last.

    Masked by this shell's variables before: half of a secret is not known again.
    """
    masked = Masker(os.environ).text(text)
    return masked[:most] if most > 0 else masked[most:]


class Masker:
    """Replaces values of secret variables, wherever a program has printed them."""

    def __init__(self, env: Mapping[str, str]) -> None:
        values = {part for name, value in env.items() for part in _parts(name, value)}
        words = [_pattern(value) for value in sorted(values, key=len, reverse=True)]
        self._values = re.compile("|".join(words)) if words else None

    def text(self, text: str) -> str:
        """A text without them, nor names and passwords in addresses."""
        if self._values:
            text = self._values.sub(_MASK, text)
        text = _SETTING.sub(lambda found: f"{found[1]}={self._set(found[1], found[2])}", text)
        return _LOGIN_IN_ADDRESS.sub(f"{_MASK}@", text)

    def _set(self, name: str, value: str) -> str:
        return _MASK if is_secret(name) else _without_login(name, value)

    def value(self, name: str, value: str) -> str:
        """The value of a variable, as it may be shown."""
        return _MASK if is_secret(name) else self.text(_without_login(name, value))

    def page(self, page: Any) -> Any:
        """A page for JSON, with all its texts masked."""
        if isinstance(page, str):
            return self.text(page)
        if isinstance(page, Mapping):
            return {
                str(k): self.value(str(k), v) if isinstance(v, str) else self.page(v)
                for k, v in page.items()
            }
        if isinstance(page, list | tuple):
            return [self.page(item) for item in page]
        return page


def _without_login(name: str, value: str) -> str:
    """A proxy's address may have no scheme, and its password any letter."""
    return _LOGIN_IN_PROXY.sub(rf"\1{_MASK}@", value) if _PROXY.search(name) else value


def _parts(name: str, value: str) -> Iterator[str]:
    """What of a variable must not be seen: a key line by line, as programs print it."""
    if is_secret(name):
        for line in value.splitlines():
            # a path that is there stands all over a page, and says nothing
            if _is_telling(line.strip()) and not (line[0] == "/" and os.path.exists(line)):
                yield line.strip()
    elif _PROXY.search(name) and (found := _LOGIN_IN_PROXY.match(value)):
        login = found[2]
        for part in (login, login.partition(":")[2]):
            if _is_telling(part):
                yield part


def _is_telling(value: str) -> bool:
    return len(value) >= _SHORTEST and value.lower() not in _SWITCHES


def _pattern(value: str) -> str:
    escaped = re.escape(value)
    return escaped if len(value) >= _LONG else rf"(?<!\w){escaped}(?!\w)"
