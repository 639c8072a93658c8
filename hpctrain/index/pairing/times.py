"""Times in file names: of many forms in, nanoseconds since 1970 and one text out."""

from __future__ import annotations

import calendar
import re
import time
from functools import lru_cache

NS = 1_000_000_000
AUTO = re.compile(
    r"(?<!\d)(\d{19}|\d{16}|\d{13}|\d{10}|\d{8}[-_T]?\d{6}(?:\.\d+)?|"
    r"\d{4}-\d\d-\d\d[T_ ]\d\d[-:]?\d\d(?:[-:]?\d\d(?:\.\d+)?)?)(?!\d)"
)
"""Seconds, ms, us or ns since 1970; 20230308-205838; 2023-03-08T20:58:38.5."""
_DATE = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[-_T ]?(\d\d)[-:]?(\d\d)(?:[-:]?(\d\d)(?:\.(\d{1,9}))?)?)?Z?"
)
_EPOCH = {10: NS, 13: 1_000_000, 16: 1000, 19: 1}


def parse_time(text: str) -> int | None:
    """Nanoseconds since 1970 in UTC, or None where the text is no time."""
    if not text:
        return None
    if text.isascii() and text.isdigit() and (unit := _EPOCH.get(len(text))):
        return int(text) * unit
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match[i] or 0) for i in range(1, 7))
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 61):
        return None
    seconds = calendar.timegm((year, month, day, hour, minute, second))
    return seconds * NS + int((match[7] or "0").ljust(9, "0"))


def time_text(ns: int) -> str:
    """A time as it stands in the index: 2023-03-08T20:58:38Z, with a fraction where it has one."""
    seconds, fraction = divmod(ns, NS)
    digits = f".{fraction:09d}" if fraction else ""
    minutes, second = divmod(seconds, 60)
    return f"{_hour(minutes // 60)}:{minutes % 60:02d}:{second:02d}{digits}Z"


@lru_cache(maxsize=4096)
def _hour(hours: int) -> str:
    return time.strftime("%Y-%m-%dT%H", time.gmtime(hours * 3600))
