"""The data card of a sky sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

import hpctrain
from hpctrain.formats.mobotix import to_celsius
from hpctrain.samples.sky_pairs import KINDS, Pair
from hpctrain.samples.sky_plan import Node, Setup
from hpctrain.samples.sky_scene import light

Range = tuple[float, float]
"""Lowest and highest temperature, degrees Celsius."""

DEPARTURES = (
    "one flat deck of clouds with a fractal water path: no towers, no layers above each other, no "
    "cirrus, no rain; clouds drift and do not change",
    "clouds have no sides and cast no shadows; towards the horizon they merge into a mean",
    "skies are scattered once, with a share for the rest; no ozone, so twilight is too yellow",
    "no moon, stars, city lights, birds, insects, dew on the lens, masts or buildings",
    "the ground is flat with a skyline; it has a texture, but no objects",
    "nodes have names of SAGE's form and places that are made up",
    "both eyes look through parallel planes: the thermal picture is an exact rectangle of the "
    "optical half; real lenses distort, and real eyes look from two places",
    "the thermal frame has noise, blur and steps of the real sensor, but no drift, no vignetting "
    "and no floor near -45 degrees Celsius, below which a real camera of this kind did not count",
    "the right half of the picture is painted over the frame's own range and stretched; how the "
    "camera scales it is not known",
    "a scan keeps 8 of its 32 positions, so that a small sample sees more weather",
    "the size of the picture is in its name; real nodes write 6144x2048",
)
"""What differs from the archive's data."""


def celsius_range(lowest: float, highest: float) -> Range:
    """Temperatures of two counts."""
    low, high = to_celsius(np.array([lowest, highest]).astype(np.uint16)).tolist()
    return low, high


def head(setup: Setup, cameras: Sequence[Node]) -> str:
    """What follows from the parameters alone: it tells whether a folder holds this sample."""
    width, height = setup.size
    lines = [
        "# Sky sample: pictures and thermal frames",
        "",
        "Synthetic: skies that follow from physics and chance, not photographs of any place.",
        "",
        f"- generator: hpctrain {hpctrain.__version__}, `hpctrain sample sky`",
        f"- pairs: {setup.scenes}, of which {setup.bad} are spoilt on purpose",
        f"- nodes: {setup.nodes}",
        f"- seed: {setup.seed}",
        f"- picture: {width}x{height} JPEG, left half optical, right half the thermal frame in "
        "colours",
        "- thermal frame: 336x252, degrees Celsius = 0.04 * count - 273.15, two decimals",
        f"- binary form of the frames beside them: {'yes' if setup.raw else 'no'}",
        "- method: pinhole cameras; a deck of clouds with power k^-3; two-stream transmission of",
        "  sunlight; window-band emission of the air, mixed as radiance by Planck's law at 10.5 um",
        "",
        "## Layout",
        "",
        "- train/rgb/`<ns>-<W>x<H>_position<N>.jpg`",
        "- train/thermal/`<ns>-right_336x252_14bit.thermal.celsius_position<N>.csv`",
        "- train/pairs/`<node>`/`<name>.txt`: the picture's name, then the thermal file's",
        "- train/bad_pairs/`<node>`/`<name>.txt`: lists that somebody has put aside",
        "- metadata.csv: the truth of each pair; times in nanoseconds since 1970 UTC, angles in",
        "  degrees, azimuth clockwise from north, heights in metres, temperatures in degrees",
        "  Celsius, cover 0 to 1; crop_* in pixels of the optical half; `reason` in the words of",
        "  the index, `fault` in more detail",
        "- rule.yaml: how train/ is indexed, with the nodes' places and their mounts' margins",
        "",
        "## Nodes",
        "",
        "The thermal frame shows this part of the optical half, in pixels.",
        "",
        "| node | latitude | longitude | left | top | right | bottom |",
        "|---|---|---|---|---|---|---|",
        *(_node(node, setup.half) for node in cameras),
        "",
        "## Known departures from real data",
        "",
        *(f"- {departure}" for departure in DEPARTURES),
    ]
    return "\n".join(lines) + "\n"


def _node(node: Node, half: tuple[int, int]) -> str:
    crop = " | ".join(f"{edge:.1f}" for edge in node.mount.crop(*half))
    return f"| {node.name} | {node.latitude:.2f} | {node.longitude:.2f} | {crop} |"


def body(found: Sequence[Pair], ranges: Mapping[int, Range]) -> list[str]:
    """What was made: scans with their weather, and the spoilt pairs."""
    firsts = {pair.frame.scan: pair for pair in reversed(found)}
    rows = []
    for scan, (low, high) in sorted(ranges.items()):
        scene = firsts[scan].frame
        w = scene.weather
        rows.append(
            f"| {scan} | {scene.node.name} | {scene.part} | {light(scene).elevation:.0f} | "
            f"{w.air:.1f} | {w.cover:.2f} | {w.base:.0f} | {low:.2f} | {high:.2f} |"
        )
    spoilt = [pair for pair in found if pair.kind]
    counts = Counter(pair.kind for pair in spoilt)
    return [
        "## Scans",
        "",
        "| scan | node | part | sun | air | cover | base | lowest | highest |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        "## Spoilt pairs",
        "",
        *(f"- {kind} ({counts[kind]}): {KINDS[kind]}" for kind in KINDS if counts[kind]),
        *([""] if spoilt else ["None.", ""]),
        *(f"- {pair.list_path}: {pair.kind}" for pair in sorted(spoilt, key=lambda p: p.list_path)),
        "",
    ]
