"""Folders of paired sky pictures, small but in the real layout."""

from __future__ import annotations

import random
from pathlib import Path

from hpctrain.config.read_rule import read_rule
from hpctrain.index.build import build_index
from hpctrain.index.table import Index

NS = 1_678_309_118_000_000_000
HEAD = "sensor;right\nbit depth;14 bit\nwidth;4\nheight;3\nresolution;high\n"
HEAD += "advanced radiometry support;yes\nunit;degrees Celsius\n\n"
FRAME = bytes.fromhex("ffd8ffc00011080800180003012200021101031101ffda000c03010002110311003f00")


def jpeg(seed: int = 0) -> bytes:
    """Markers of a 2048 x 6144 picture around a few bytes."""
    return FRAME + random.Random(seed).randbytes(40).replace(b"\xff", b"\xfe") + b"\xff\xd9"


def table(seed: int = 0) -> str:
    """A thermal table of 3 rows and 4 columns."""
    draw = random.Random(seed)
    rows = [";".join(f"{draw.gauss(10, 5):.2f}" for _ in range(4)) for _ in range(3)]
    return HEAD + "\n".join(rows) + "\n"


def write_pair(
    root: Path, number: int, position="3", thermal_position=None, node="W02D", seed=None
) -> tuple[Path, Path]:
    """One frame; a position of None leaves it out of the name."""
    seed = number if seed is None else seed
    ns = NS + number * 3_600_000_000_000
    thermal_position = position if thermal_position is None else thermal_position
    first, second = (f"_position{p}" if p else "" for p in (position, thermal_position))
    rgb = root / f"rgb/{node}/{ns}-6144x2048{first}.jpg"
    thermal = root / f"thermal/{node}/{ns}-right_336x252_14bit.thermal.celsius{second}.csv"
    for path in (rgb, thermal):
        path.parent.mkdir(parents=True, exist_ok=True)
    rgb.write_bytes(jpeg(seed))
    thermal.write_text(table(seed))
    return rgb, thermal


def write_pairs(root: Path, count: int, **options) -> Path:
    """Frames 0 to count - 1, one an hour."""
    for number in range(count):
        write_pair(root, number, **options)
    return root


def built(root: Path, rule: str | None = "sage", **options) -> Index:
    """The index of a folder, by a shipped rule and values on top."""
    index = build_index(root, read_rule(rule, options)).made
    assert index is not None
    return index


def reasons(index: Index) -> dict[str, str]:
    """Reason of each bad sample by id."""
    return {row.id: row.reason for row in index.rows if row.status == "bad"}
