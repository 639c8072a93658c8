"""Whether this host's clock is kept, and how far the ranks' clocks are apart."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hpctrain.doctor.topic import Topic
from hpctrain.preflight.ask import SilentError, ask

_LIMIT_S = 10.0
_FAR_S = 1.0
_REMEDY = "tell the site to run chrony or ntpd there: file times decide what is stale"


def clock_topic(offsets: Sequence[Mapping[str, Any]]) -> Topic:
    """What keeps the time here, and the ranks' hosts against that of rank 0.

    Args:
        offsets: what rank 0 measured; empty: nothing was.
    """
    topic = Topic("clock", facts={"offsets": list(offsets)})
    _service(topic)
    hosts: dict[str, Mapping[str, Any]] = {}
    for one in offsets:  # of the ranks of one host the best known counts
        if one["host"] not in hosts or one["error_s"] < hosts[one["host"]]["error_s"]:
            hosts[one["host"]] = one
    if len(hosts) < 2:
        return topic
    worst = max(hosts.values(), key=lambda one: abs(one["offset_s"]))
    first = next(iter(hosts))
    text = (
        f"{len(hosts)} hosts within {_short(abs(worst['offset_s']))} of {first}, measured to "
        f"{_short(max(one['error_s'] for one in hosts.values()))}"
    )
    if abs(worst["offset_s"]) - worst["error_s"] > _FAR_S:
        topic.warning(
            "skew", f"{text}; {worst['host']} is off by {worst['offset_s']:+.1f} s", _REMEDY
        )
    else:
        topic.ok("skew", text)
    return topic


def _service(topic: Topic) -> None:
    for words, read in ((["chronyc", "-n", "tracking"], chrony), (_TIMEDATECTL, timedatectl)):
        try:
            answer = ask(words, _LIMIT_S)
        except SilentError:
            continue
        known = read(answer.out) if answer and answer.code == 0 else None
        if known is not None:
            is_kept, text = known
            topic.facts["service"] = {"program": words[0], "is_kept": is_kept, "says": text}
            if is_kept:
                topic.ok("service", text)
            else:
                topic.warning("service", text, _REMEDY)
            return
    topic.note("service", "neither chronyc nor timedatectl says here who keeps the time")


_TIMEDATECTL = ["timedatectl", "show", "--property=NTPSynchronized", "--property=NTP"]


def chrony(text: str) -> tuple[bool, str] | None:
    """Whether the clock is kept, and words about it, out of `chronyc tracking`."""
    status = re.search(r"Leap status\s*:\s*(.+)", text)
    away = re.search(r"System time\s*:\s*([\d.]+) seconds (slow|fast)", text)
    if status is None:
        return None
    known = f", {_short(float(away[1]))} {away[2]}" if away else ""
    return "Not synchronised" not in status[1], f"chrony: {status[1].strip().lower()}{known}"


def timedatectl(text: str) -> tuple[bool, str] | None:
    """The same out of `timedatectl show`."""
    match = re.search(r"NTPSynchronized=(yes|no)", text)
    if match is None:
        return None
    is_kept = match[1] == "yes"
    return is_kept, f"timedatectl: the clock is {'' if is_kept else 'not '}synchronized"


def _short(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
