"""`hpctrain sample sky`: pairs of sky pictures and thermal frames, as SAGE nodes upload them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from hpctrain.formats.mobotix import encode
from hpctrain.samples import folder, sky_card, sky_rule
from hpctrain.samples.sky_clouds import Deck
from hpctrain.samples.sky_ground import Ground
from hpctrain.samples.sky_pairs import RGB, THERMAL, Pair, metadata, pairs
from hpctrain.samples.sky_plan import Node, Setup
from hpctrain.samples.sky_scene import Surroundings, jpeg, optical_picture, paint, thermal_counts

METADATA, RULE = "metadata.csv", "rule.yaml"
CUT = 0.6
"""Where truncated files end."""


def write_sample(
    out: Path,
    scenes: int = 160,
    nodes: int = 3,
    seed: int = 0,
    size: tuple[int, int] = (1200, 400),
    bad: int | None = None,
    raw: bool = False,
    progress: folder.Progress = lambda line: None,
) -> list[Path]:
    """Compute pairs of sky pictures and thermal frames, with a table of the truth and a data card.

    Nothing is computed where the same sample is already there, complete and unaltered.

    Args:
        out: folder, made if need be; gets train/{rgb,thermal,pairs,bad_pairs}, metadata.csv,
            rule.yaml and DATA_CARD.md.
        scenes: number of pairs, spoilt ones among them.
        nodes: number of cameras.
        seed: of everything that is drawn by chance.
        size: columns and rows of the picture with both halves side by side.
        bad: number of spoilt pairs; default a tenth.
        raw: also write the binary form of the thermal frames.
        progress: is told a line at a time.

    Returns:
        All files but the card.

    Raises:
        ConfigError: a parameter is out of bounds, or the folder holds something else.
    """
    bad = scenes // 10 if bad is None else bad
    setup = Setup(scenes, nodes, seed, (size[0], size[1]), bad, raw)
    cameras = setup.cameras()
    found = pairs(list(setup.scenes_of(cameras)), setup)

    def make(scratch: Path) -> list[str]:
        ranges = _write_pairs(scratch, setup, cameras, found, progress)
        (scratch / METADATA).write_text(metadata(found, setup.half))
        (scratch / RULE).write_text(sky_rule.rule(cameras, setup.half))
        return sky_card.body(found, ranges)

    head = sky_card.head(setup, cameras)
    return folder.write(Path(out), _names(setup, found), head, make, progress)


def _names(setup: Setup, found: Sequence[Pair]) -> list[str]:
    names = [name for pair in found for name in pair.files()]
    if setup.raw:
        names += [_raw(name) for name in names if name.startswith(THERMAL)]
    return sorted([*names, METADATA, RULE])


def _raw(name: str) -> str:
    """Name of the binary form of a thermal file."""
    return name.replace(".celsius", "").removesuffix("csv") + "raw"


def _write_pairs(
    scratch: Path,
    setup: Setup,
    cameras: Sequence[Node],
    found: Sequence[Pair],
    progress: folder.Progress,
) -> dict[int, sky_card.Range]:
    """Write all files of the pairs; gives the range of temperatures in each scan."""
    for name in _names(setup, found):
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
    grounds = {node.name: Ground(setup.rng(3, i)) for i, node in enumerate(cameras)}
    by_scan: dict[int, list[Pair]] = defaultdict(list)
    for pair in found:
        by_scan[pair.frame.scan].append(pair)

    def write(scan: int) -> sky_card.Range:
        return _write_scan(scratch, setup, grounds, by_scan[scan])

    # Threads suffice: numpy and the coders let others run while they work.
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, 4))
    try:
        return dict(_told(by_scan, pool.map(write, by_scan), progress))
    finally:
        pool.shutdown(cancel_futures=True)


def _told(
    by_scan: Mapping[int, Sequence[Pair]],
    ranges: Iterator[sky_card.Range],
    progress: folder.Progress,
) -> Iterator[tuple[int, sky_card.Range]]:
    """Say a line for each scan as it is finished."""
    for done, (scan, kelvins) in enumerate(zip(by_scan, ranges, strict=True), 1):
        scene = by_scan[scan][0].frame
        progress(
            f"scan {done} of {len(by_scan)}: {scene.node.name}, {scene.part}, "
            f"{100 * scene.weather.cover:.0f} % cloud at {scene.weather.base:.0f} m, "
            f"{kelvins[0]:.1f} to {kelvins[1]:.1f} degrees Celsius"
        )
        yield scan, kelvins


def _write_scan(
    scratch: Path, setup: Setup, grounds: Mapping[str, Ground], found: Sequence[Pair]
) -> sky_card.Range:
    """Write the pairs of one scan, which share their clouds."""
    first = found[0].frame
    deck = Deck(first.weather, setup.rng(7, first.scan))
    around = Surroundings(deck, grounds[first.node.name])
    lowest, highest = np.inf, -np.inf
    for pair in found:
        counts = thermal_counts(pair.frame, around, setup.rng(5, pair.number, 0))
        optical = optical_picture(pair.picture, around, setup.half, setup.rng(5, pair.number, 1))
        picture = jpeg(optical, paint(counts, setup.half))
        text = encode(counts, pair.thermal)
        if pair.kind == "truncated-jpeg":
            picture = picture[: int(CUT * len(picture))]
        if pair.kind == "truncated-csv":
            text = text[: int(CUT * len(text))]
        (scratch / RGB / pair.rgb).write_bytes(picture)
        (scratch / pair.list_path).write_text(f"{pair.rgb}\n{pair.thermal}\n")
        if pair.kind != "missing-twin":
            (scratch / THERMAL / pair.thermal).write_bytes(text)
            if setup.raw:
                name = _raw(pair.thermal)
                (scratch / THERMAL / name).write_bytes(encode(counts, name))
        lowest, highest = min(lowest, int(counts.min())), max(highest, int(counts.max()))
    return sky_card.celsius_range(lowest, highest)
