"""Which scenes a sample holds: nodes, scans, hours, weather; all of it follows from the seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from hpctrain.errors import ConfigError
from hpctrain.formats.sage_names import preset
from hpctrain.samples.sky_camera import Mount
from hpctrain.samples.sky_clouds import Weather

NODES = ("V017", "W02D", "W039", "W042", "W07A", "W08E", "W0A1", "W0B7")
"""Of the form of SAGE's; the places are made up."""
PER_SCAN = 8
"""Positions of a scan that are kept."""
STEP_S = 15
"""Seconds from one position to the next."""
FIRST_DAY, DAYS = datetime(2023, 4, 1, tzinfo=timezone.utc), 180
PARTS = {"day": (12.0, 70.0), "dusk": (-6.0, 6.0), "night": (-90.0, -18.0)}
"""Elevations of the sun in degrees."""
ORDER = ("day", "night", "day", "dusk", "day", "night")
"""Parts of the day of a node's scans, over and over."""


@dataclass(frozen=True)
class Node:
    """One camera."""

    name: str
    latitude: float
    longitude: float
    mount: Mount


@dataclass(frozen=True)
class Scene:
    """One picture and its thermal frame."""

    node: Node
    scan: int
    """Number of the scan in the sample: scenes of a scan share clouds."""
    weather: Weather
    start_ns: int
    """When the scan began."""
    timestamp_ns: int
    position: int
    part: str

    @property
    def seconds(self) -> float:
        """Since the scan began."""
        return (self.timestamp_ns - self.start_ns) / 1e9

    @property
    def azimuth(self) -> float:
        """Of the axis, degrees."""
        return preset(self.position).azimuth + self.node.mount.azimuth_error


def sun(timestamp_ns: int, latitude: float, longitude: float) -> tuple[float, float]:
    """Elevation and azimuth of the sun in degrees, to about a degree.

    Declination and equation of time after Spencer 1971.
    """
    time = timestamp_ns / 86400e9
    year = 2 * np.pi * (time % 365.25) / 365.25
    declination = (
        0.006918 - 0.399912 * np.cos(year) + 0.070257 * np.sin(year)
        - 0.006758 * np.cos(2 * year) + 0.000907 * np.sin(2 * year)
    )  # fmt: skip
    equation = 0.000075 + 0.001868 * np.cos(year) - 0.032077 * np.sin(year)
    equation += -0.014615 * np.cos(2 * year) - 0.040849 * np.sin(2 * year)
    hour = 2 * np.pi * (time % 1 - 0.5) + np.radians(longitude) + equation
    phi = np.radians(latitude)
    up = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour)
    east = -np.cos(declination) * np.sin(hour)
    north = np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(hour)
    return float(np.degrees(np.arcsin(up))), float(np.degrees(np.arctan2(east, north)) % 360)


def _start(node: Node, part: str, rng: np.random.Generator) -> int:
    """A time in nanoseconds at which it is that part of the day."""
    first = int(FIRST_DAY.timestamp())
    lowest, highest = PARTS[part]
    while True:
        ns = (first + int(rng.integers(DAYS * 86400))) * 10**9 + int(rng.integers(10**9))
        if lowest <= sun(ns, node.latitude, node.longitude)[0] <= highest:
            return ns


def _weather(rng: np.random.Generator, part: str) -> Weather:
    base = float(np.exp(rng.uniform(np.log(900), np.log(4800))))
    # Low clouds are thick; clear, broken and closed skies all occur.
    cover = float(rng.choice([0.04, 0.96, *rng.uniform(0.15, 0.85, 6)]))
    angle, speed = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(2, 18))
    return Weather(
        air=float(rng.uniform(4, 30)) - (4.0 if part == "night" else 0.0),
        cover=cover,
        base=base,
        depth=float(rng.uniform(8, 24)) * (1.0 if base < 2500 else 0.6),
        clear_drop=float(rng.uniform(50, 60)),
        haze=float(rng.uniform(0.015, 0.06)),
        wind=(speed * float(np.sin(angle)), speed * float(np.cos(angle))),
    )


def _positions(visit: int) -> list[int]:
    """Positions that the n-th scan of a node keeps: half of them sky, in the order of the scan.

    After eight scans every one of the 32 was kept.
    """
    columns = [(2 * i + visit) % 8 for i in range(4)]
    kept = [4 * c + 1 for c in columns]
    kept += [4 * ((visit + 2 * i) % 8) + 2 for i in range(2)]
    kept += [4 * ((visit + 3) % 8) + 3, 4 * ((visit + 5) % 8) + 4]
    return sorted(kept, key=lambda p: ((p - 1) % 4, p))


@dataclass(frozen=True)
class Setup:
    """Everything that the files depend on."""

    scenes: int
    nodes: int
    seed: int
    size: tuple[int, int]
    bad: int
    raw: bool

    def __post_init__(self) -> None:
        width, height = self.size
        if self.scenes < 1:
            raise ConfigError(f"sample sky: scenes is {self.scenes}; give at least 1")
        if not 1 <= self.nodes <= len(NODES):
            raise ConfigError(f"sample sky: nodes is {self.nodes}; give 1 to {len(NODES)}")
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"sample sky: seed is {self.seed}; give 0 to 2147483647")
        if width % 2 or not (96 <= width <= 6144 and 32 <= height <= 4096):
            raise ConfigError(
                f"sample sky: size is {list(self.size)}; give columns (even, 96 to 6144) and rows "
                "(32 to 4096) of the picture with both halves, such as 1200,400"
            )
        if not 0 <= self.bad <= self.scenes // 2:
            raise ConfigError(
                f"sample sky: bad is {self.bad}; give 0 to {self.scenes // 2}, half of the scenes"
            )

    @property
    def half(self) -> tuple[int, int]:
        """Columns and rows of the optical half."""
        return self.size[0] // 2, self.size[1]

    def rng(self, *key: int) -> np.random.Generator:
        """A source of its own for each use."""
        return np.random.default_rng([self.seed, *key])

    def cameras(self) -> list[Node]:
        """The nodes of the sample."""
        return [_node(name, self.rng(1, i)) for i, name in enumerate(NODES[: self.nodes])]

    def scenes_of(self, cameras: Sequence[Node]) -> Iterator[Scene]:
        """All scenes, scan by scan; the cameras take turns."""
        for scan in range(-(-self.scenes // PER_SCAN)):
            visit, turn = divmod(scan, len(cameras))
            rng, node = self.rng(2, scan), cameras[turn]
            part = ORDER[(visit + turn) % len(ORDER)]
            weather, start = _weather(rng, part), _start(node, part, rng)
            for position in _positions(visit)[: self.scenes - scan * PER_SCAN]:
                # The scan goes through all columns of a row before the next row.
                step = 8 * ((position - 1) % 4) + (position - 1) // 4
                at = start + step * STEP_S * 10**9 + int(rng.integers(10**9))
                yield Scene(node, scan, weather, start, at, position, part)


def _node(name: str, rng: np.random.Generator) -> Node:
    shift = float(rng.uniform(-0.04, 0.06)), float(rng.uniform(-0.03, 0.03))
    mount = Mount(float(rng.uniform(-6, 6)), float(rng.uniform(-2.5, 2.5)), shift)
    return Node(name, float(rng.uniform(32, 45)), float(rng.uniform(-120, -75)), mount)
