"""What all segments of a prediction share: network, windows' size and border, arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import hpctrain
from hpctrain.comm import Communicator
from hpctrain.config.ink import Ink
from hpctrain.config.load import read_resolved
from hpctrain.config.scroll_data import Scroll
from hpctrain.errors import CheckpointError, ConfigError
from hpctrain.index import Index, read_index
from hpctrain.log import logger
from hpctrain.predict.arithmetic import precision_of, set_arithmetic
from hpctrain.predict.options import Options
from hpctrain.predict.ranks import memory_mb_of, together
from hpctrain.predict.segment.border import border_of, last_measured
from hpctrain.predict.segment.ink import InkPredictor, TrainedInk, load_ink, windows_at_once
from hpctrain.predict.segment.source import Found, Segment, find_segments
from hpctrain.predict.segment.targets import Target, name_targets
from hpctrain.predict.segment.windows import AxisWindows
from hpctrain.predict.trained import read_checkpoint
from hpctrain.provenance.run import code_digest
from hpctrain.train.precision import Precision

T = TypeVar("T")
Triple = tuple[int, int, int]


class Group:
    """The ranks of a prediction, which fail together."""

    def __init__(self, comm: Communicator) -> None:
        self.comm = comm

    @property
    def is_first(self) -> bool:
        """Whether this rank writes what is of all."""
        return self.comm.rank == 0

    def all(self, work: Callable[[], T], warn_others: Callable[[], None] = lambda: None) -> T:
        """What some work gives on each rank; an error on one of them ends all."""
        return together(self.comm, work, warn_others)

    def first(self, work: Callable[[], Any]) -> Any:
        """What some work of the first rank gives, on all of them."""
        return self.comm.broadcast_object(self.all(work if self.is_first else lambda: None))


class Settled(NamedTuple):
    """What all ranks take from the first: others may see newer files in a moment."""

    checkpoint: Path
    digest: str
    found: list[Found]
    targets: list[Target]
    memory_mb: int
    border: tuple[int, int]
    """Pixels along y and x."""
    why: str
    """Where the border is from."""


@dataclass(frozen=True)
class Ready:
    """What a prediction goes by."""

    run_dir: Path
    name: str
    """Of the job."""
    scroll: Scroll
    index: Index
    options: Options
    trained: TrainedInk
    predictor: InkPredictor
    precision: Precision
    tile: Triple
    """Voxels of a window."""
    border: tuple[int, int]
    why: str
    at_once: int
    """Places of windows that are predicted together."""
    where: str
    """Device and precision, for the log."""

    def windows(self, shape: tuple[int, int]) -> tuple[AxisWindows, AxisWindows]:
        """Windows along y and x over a segment.

        Raises:
            ConfigError: a stride or border that leaves gaps.
        """
        found = []
        for size, window, border in zip(shape, self.tile[1:], self.border, strict=True):
            # odd: so windows meet the halvings of the network at all of their phases
            half = max(1, (window - 2 * border) // 2 - 1) | 1
            found.append(AxisWindows(size, window, self.options.stride or half, border))
        return found[0], found[1]

    def plan(
        self, digest: str, segment: Segment, rows: AxisWindows, columns: AxisWindows
    ) -> dict[str, Any]:
        """What bands of a segment must have in common, for `Parts`.

        Args:
            digest: of the segment's files.
            segment: which layers of it are read.
            rows: windows along y.
            columns: windows along x.
        """
        same = {
            "code of hpctrain": code_digest(Path(hpctrain.__file__).parents[1])[:16],
            "checkpoint": self.trained.facts["checkpoint_digest"],
            "kind of weights": self.trained.weights,
            "offsets in depth": list(segment.offsets),
            "segment": digest,
            "range of layers": list(segment.layers),
            "tile": list(self.tile),
            "stride": [rows.stride, columns.stride],
            "border": [rows.border, columns.border],
            "flips": self.options.flips,
            "precision": self.precision.name,
        }
        return {"same": same, "at_once": self.at_once}


def set_up(run_dir: Path, options: Options, group: Group) -> tuple[Ready, Settled]:
    """Read the run, on all ranks alike.

    Raises:
        ConfigError: options, files or a checkpoint that do not fit.
    """
    run_dir = run_dir.resolve()
    settled: Settled = group.first(lambda: _settle(run_dir, options, group.comm))
    return group.all(lambda: _ready(run_dir, options, group.comm, settled)), settled


def _run(run_dir: Path) -> tuple[str, Ink, Scroll, Index]:
    job = read_resolved(run_dir / "config.yaml")
    assert isinstance(job.train, Ink)
    assert isinstance(job.data, Scroll)
    return job.name, job.train, job.data, read_index(run_dir)


def _settle(run_dir: Path, options: Options, comm: Communicator) -> Settled:
    _, settings, scroll, index = _run(run_dir)
    path, state = read_checkpoint(run_dir, options.checkpoint)
    trained = load_ink(settings, scroll.window, path, state, options.weights)
    found = find_segments(index, options.inputs)
    border, why = _border(run_dir, scroll, options.border, trained.facts)
    return Settled(
        path,
        trained.facts["checkpoint_digest"],
        found,
        name_targets(options, found),
        options.memory_mb or memory_mb_of(comm.device),
        border,
        why,
    )


def _border(
    run_dir: Path, scroll: Scroll, asked: int | None, facts: Mapping[str, Any]
) -> tuple[tuple[int, int], str]:
    if asked is not None:
        return (asked, asked), "as asked for"
    _, height, width = scroll.window
    measured = last_measured(run_dir)
    y, x = (border_of(measured.curve, size) if measured else None for size in (height, width))
    if measured is None or y is None or x is None:
        return (0, 0), "no validation has measured one"
    # eval/summary.json is of the newest validation, and no older one is kept
    if measured.epoch != facts["epoch"]:
        logger.info(
            "the border is by the newest validation, after epoch %s, and %s is of epoch %s; "
            "--border takes another",
            measured.epoch,
            facts["checkpoint"],
            facts["epoch"],
        )
    return (y, x), f"by the error that validation measured after epoch {measured.epoch}"


def _ready(run_dir: Path, options: Options, comm: Communicator, settled: Settled) -> Ready:
    name, settings, scroll, index = _run(run_dir)
    path, state = read_checkpoint(run_dir, str(settled.checkpoint))
    trained = load_ink(settings, scroll.window, path, state, options.weights)
    if trained.facts["checkpoint_digest"] != settled.digest:
        raise CheckpointError(
            f"{path}: was replaced while the ranks read it; predict again, or copy it and "
            "name the copy with --checkpoint"
        )
    tile = tile_of(scroll.window, options.tile, int(trained.network.factor))  # type: ignore[arg-type]
    precision = precision_of(options.precision, trained.precision, trained.network)
    set_arithmetic(
        comm.device,
        is_float32=precision.name == "float32",
        is_deterministic=settings.deterministic,
    )
    memory = settled.memory_mb * 1_000_000
    return Ready(
        run_dir,
        name,
        scroll,
        index,
        options,
        trained,
        InkPredictor(trained, comm.device, precision, has_flips=options.flips),
        precision,
        tile,
        settled.border,
        settled.why,
        windows_at_once(settings, scroll.window, tile, memory),
        f"{comm.device.type} in {precision.name}",
    )


def tile_of(window: Triple, asked: Sequence[int], factor: int) -> Triple:
    """Voxels of a window: those of the training, or other rows and columns.

    Args:
        window: `data.window`.
        asked: rows and columns alike, or layers, rows and columns; empty: nothing.
        factor: the network halves windows down to parts of so many.

    Raises:
        ConfigError: sizes that the network cannot take.
    """
    if not asked:
        return window
    if len(asked) == 3 and asked[0] != window[0]:
        raise ConfigError(
            f"--tile: found {asked[0]} layers; allowed: {window[0]}, those of the training"
        )
    height, width = (asked[1], asked[2]) if len(asked) == 3 else (asked[0], asked[0])
    for size in (height, width):
        if size % factor:
            low = max(1, size // factor) * factor
            raise ConfigError(
                f"--tile: {size} is no multiple of {factor}, into which the network halves its "
                f"windows; choose {low} or {low + factor}"
            )
    return window[0], height, width
