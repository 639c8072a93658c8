"""Pairs of a sky sample as an archive holds them: names, lists of two lines, and spoilt ones."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hpctrain.formats.sage_names import frame_name, preset, thermal_name
from hpctrain.samples.sky_camera import THERMAL_SIZE
from hpctrain.samples.sky_plan import Scene, Setup
from hpctrain.samples.sky_scene import light

RGB, THERMAL = "train/rgb", "train/thermal"
LISTS, SET_ASIDE = "train/pairs", "train/bad_pairs"

KINDS = {
    "unequal-positions": "the two names give different positions, as when two programs race",
    "missing-twin": "the list names a thermal file that is not there",
    "unequal-times": "the picture was taken 55 minutes before the thermal frame",
    "missing-position": "neither name gives a position, as before March 2023",
    "truncated-jpeg": "the picture ends in the middle",
    "truncated-csv": "the thermal file ends in the middle",
    "duplicate": "both files hold the bytes of an earlier pair",
    "listed-bad": "both files are whole, but somebody has moved the list to bad_pairs",
}
"""Ways in which pairs are spoilt, as it happens in archives; to an index both that are truncated
are just that."""
APART_NS = 55 * 60 * 10**9


@dataclass(frozen=True)
class Pair:
    """Two files and the list that names them."""

    number: int
    """Of the scene whose noise the files have."""
    picture: Scene
    """What the picture shows."""
    frame: Scene
    """What the thermal frame shows."""
    rgb: str
    thermal: str
    list_path: str
    kind: str = ""
    """Key of `KINDS`; empty for a good pair."""

    @property
    def timestamp_ns(self) -> int:
        """Of the thermal file's name."""
        return int(self.thermal.partition("-")[0])

    @property
    def reason(self) -> str:
        """What an index calls the fault; empty for a good pair."""
        return "truncated" if self.kind.startswith("truncated") else self.kind

    def files(self) -> list[str]:
        """Paths of what is there, below the sample's folder."""
        thermal = [] if self.kind == "missing-twin" else [f"{THERMAL}/{self.thermal}"]
        return [f"{RGB}/{self.rgb}", *thermal, self.list_path]


def _named(number: int, scene: Scene, size: tuple[int, int], **given: int | None) -> Pair:
    """A pair whose names tell the truth, but for what is given."""
    position = given.get("position", scene.position)
    other = given.get("thermal_position", position)
    taken = given.get("picture_ns") or scene.timestamp_ns
    rgb = frame_name(taken, *size, position)
    thermal = thermal_name(scene.timestamp_ns, "right", THERMAL_SIZE, other)
    stem = rgb.rpartition(".")[0]
    return Pair(number, scene, scene, rgb, thermal, f"{LISTS}/{scene.node.name}/{stem}.txt")


def _spoilt(kind: str, pair: Pair, size: tuple[int, int]) -> Pair:
    """The same scene with one fault; duplicates are made by `pairs`."""
    scene, number = pair.frame, pair.number
    if kind == "unequal-positions":
        pair = _named(number, scene, size, thermal_position=scene.position % 32 + 1)
    elif kind == "listed-bad":
        pair = replace(pair, list_path=pair.list_path.replace(LISTS, SET_ASIDE))
    elif kind == "unequal-times":
        earlier = replace(scene, timestamp_ns=scene.timestamp_ns - APART_NS)
        pair = _named(number, scene, size, picture_ns=earlier.timestamp_ns)
        pair = replace(pair, picture=earlier)
    elif kind == "missing-position":
        pair = _named(number, scene, size, position=None)
    return replace(pair, kind=kind)


def pairs(scenes: Sequence[Scene], setup: Setup) -> list[Pair]:
    """All pairs, as many as scenes; some are spoilt, all kinds in turn."""
    order, size = setup.rng(4).permutation(len(scenes)).tolist(), setup.size
    found = [_named(i, scene, size) for i, scene in enumerate(scenes)]
    sources = iter(order[setup.bad :])
    for turn, i in enumerate(order[: setup.bad]):
        kind = list(KINDS)[turn % len(KINDS)]
        if kind == "duplicate":
            source = found[next(sources)]
            again = replace(source.frame, timestamp_ns=source.frame.timestamp_ns + 10**9)
            copy = _named(source.number, again, size)
            found[i] = replace(copy, picture=source.picture, frame=source.frame, kind=kind)
        else:
            found[i] = _spoilt(kind, found[i], size)
    return found


COLUMNS = (
    *("node", "timestamp_ns", "position", "direction", "row", "part"),
    *("air_celsius", "cover", "cloud_base_m", "sun_elevation", "sun_azimuth"),
    *("crop_left", "crop_top", "crop_right", "crop_bottom"),
    *("rgb", "thermal", "pair", "is_bad", "reason", "fault"),
)


def metadata(found: Sequence[Pair], half: tuple[int, int]) -> str:
    """A CSV of all pairs: what is true of each scene, and what is wrong with its files.

    Args:
        found: all pairs.
        half: columns and rows of the optical half; the crop is in its pixels.
    """
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(COLUMNS)
    for pair in found:
        scene, lit, at = pair.frame, light(pair.frame), preset(pair.frame.position)
        crop = scene.node.mount.crop(*half)
        table.writerow(
            [scene.node.name, pair.timestamp_ns, scene.position, at.direction, at.row, scene.part]
            + [f"{scene.weather.air:.2f}", f"{scene.weather.cover:.3f}"]
            + [f"{scene.weather.base:.0f}", f"{lit.elevation:.2f}", f"{lit.azimuth:.2f}"]
            + [f"{edge:.1f}" for edge in crop]
            + [pair.rgb, pair.thermal, pair.list_path, int(bool(pair.kind)), pair.reason, pair.kind]
        )
    return file.getvalue()
