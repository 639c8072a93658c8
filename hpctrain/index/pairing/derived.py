"""Columns that follow from node, time and position: sun, daylight, local time, mount, view."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from hpctrain.index.pairing.pairs import Sample
from hpctrain.index.pairing.times import NS, parse_time
from hpctrain.index.sun import sun_elevation

if TYPE_CHECKING:
    from hpctrain.config.index_places import Daylight, Place
    from hpctrain.config.index_rule import Rule


def derive(samples: Sequence[Sample], rule: Rule) -> None:
    """Add the columns that the rule's places and views give; empty where they say nothing.

    Args:
        samples: with node, time and position.
        rule: the rule.
    """
    views = {position: name for name, own in rule.views.items() for position in own}
    places = _Places(rule.places)
    if not views and not rule.places:
        return
    for sample in samples:
        found = places.columns(sample, rule.daylight) if rule.places else {}
        if views:
            found["view"] = views.get(sample.position, "")
        sample.columns = {**(sample.columns or {}), **found}


class _Places:
    """Where nodes stood, and when."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._of_node: dict[str, list[tuple[int | None, int | None, Place]]] = {}
        for place in places:
            span = parse_time(place.after or ""), parse_time(place.before or "")
            self._of_node.setdefault(place.node, []).append((*span, place))
        self._zones = {
            name: zoneinfo.ZoneInfo(name) for place in places if (name := place.time_zone)
        }
        self._has_mounts = any(place.mount for place in places)

    def columns(self, sample: Sample, daylight: Daylight) -> dict[str, str]:
        """Cells of a sample."""
        place, ns = self._find(sample), sample.ns
        found = {"sun_elevation": "", "daylight": ""}
        if place is not None and ns is not None:
            elevation = sun_elevation(ns, place.latitude, place.longitude)
            found = {"sun_elevation": f"{elevation:.2f}", "daylight": _part(elevation, daylight)}
        if self._zones:
            zone = place.time_zone if place is not None else None
            is_known = zone is not None and ns is not None
            found["local_time"] = _local(ns or 0, self._zones[zone or ""]) if is_known else ""
        if self._has_mounts:
            found["mount"] = (place.mount if place else None) or sample.node
        return found

    def _find(self, sample: Sample) -> Place | None:
        """The last place that holds at the time of a sample."""
        ns = sample.ns
        for after, before, place in reversed(self._of_node.get(sample.node, ())):
            if ns is None:
                if after is None and before is None:
                    return place
            elif (after is None or ns >= after) and (before is None or ns < before):
                return place
        return None


def _part(elevation: float, daylight: Daylight) -> str:
    if elevation >= daylight.day_from:
        return "day"
    return "night" if elevation < daylight.night_below else "dusk"


def _local(ns: int, zone: zoneinfo.ZoneInfo) -> str:
    """Such as 2023-03-08T14:58:38-06:00."""
    return datetime.fromtimestamp(ns // NS, zone).isoformat()
