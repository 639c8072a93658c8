"""`hpctrain predict`: whole fields of a run's network into files, on all ranks."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from hpctrain import log
from hpctrain.comm import Communicator, Ranks
from hpctrain.config.job import Job
from hpctrain.data.inputs import FieldInputs
from hpctrain.errors import CheckpointError, ConfigError
from hpctrain.index import Index, read_index
from hpctrain.log import logger
from hpctrain.predict.find import (
    Found,
    find_inputs,
    style_names,
    styles_of,
    target_facts,
)
from hpctrain.predict.noise import member_seed
from hpctrain.predict.notes import tell_of_fine_input, tell_plan, words_of
from hpctrain.predict.options import Options
from hpctrain.predict.outputs import Output, name_outputs, sheet_of, tag_here
from hpctrain.predict.predictor import Draw, Predictor, tiling_of
from hpctrain.predict.progress import TileProgress
from hpctrain.predict.ranks import (
    OtherRankError,
    agree,
    choose_device,
    leave_quietly,
    meet,
    memory_mb_of,
    set_arithmetic,
    set_threads,
)
from hpctrain.predict.tiles import Block
from hpctrain.predict.trained import load_trained, open_job, read_checkpoint
from hpctrain.provenance import stamp_run
from hpctrain.train.precision import Precision
from hpctrain.train.stamps import checkpoint_facts

_BLOCK_CELLS = 1 << 26
"""Output cells of a block, all channels: 256 MB."""


@dataclass(frozen=True)
class Done:
    """What was written, and how fast."""

    paths: tuple[Path, ...]
    shape: tuple[int, int, int]
    names: tuple[str, ...]
    seconds: float
    peak_bytes: int
    """Of this process on a CPU, of the device on a GPU."""

    @property
    def voxels_per_s(self) -> float:
        """Output cells a second; one cell of all variables counts once."""
        return len(self.paths) * math.prod(self.shape) / self.seconds


def predict(run_dir: Path, options: Options) -> Done | None:
    """Predict; returns what was done on rank 0, None on others.

    Args:
        run_dir: the run directory; nothing in it is changed.
        options: what is asked for.

    Raises:
        ConfigError: options, files or a checkpoint that do not fit.
        DataError: files that cannot be read.
    """
    ranks = Ranks.from_environment()
    log.setup(str(ranks) if ranks.world_size > 1 else "")
    set_threads(ranks)
    comm = meet(ranks, choose_device(options.device), run_dir)
    try:
        done = _Prediction(run_dir, options, comm).run()
    except OtherRankError:
        leave_quietly()
    comm.barrier()
    comm.close()
    return done if ranks.rank == 0 else None


class _Settled(NamedTuple):
    """What all ranks take from the first."""

    checkpoint: Path
    digest: str
    found: Found


class _Prediction:
    def __init__(self, run_dir: Path, options: Options, comm: Communicator) -> None:
        self.run_dir, self.options, self.comm = run_dir.resolve(), options, comm
        self.settled: _Settled | None = None

    def run(self) -> Done:
        """Set up, and compute all outputs; all ranks fail together."""
        own = tag_here(), self.options.memory_mb or memory_mb_of(self.comm.device)
        # devices may differ: all ranks take the tiles of the first
        self.tag, self.memory_mb = self.comm.broadcast_object(own)
        self._together(self._settle)
        self.settled = self.comm.broadcast_object(self.settled)
        self._together(self._set_up)
        begin = time.perf_counter()
        blocks = self._blocks()
        wave = max(1, self.comm.world_size // len(blocks))
        for first in range(0, len(self.outputs), wave):
            self._fill(range(first, min(first + wave, len(self.outputs))), blocks)
        self.progress.end()
        return Done(
            tuple(output.path for output in self.outputs),
            self.tiling.plan.shape,
            self.trained.scales.names,
            time.perf_counter() - begin,
            _peak_bytes(self.comm.device),
        )

    def _settle(self) -> None:
        """Checkpoint and files, by the first rank: others may see newer ones in a moment."""
        if self.comm.rank:
            return
        options = self.options
        job, settings = open_job(self.run_dir)
        path, self.state = read_checkpoint(self.run_dir, options.checkpoint)
        found = find_inputs(
            job.fields,
            read_index(self.run_dir),
            options.inputs,
            settings.upscale_factor,
            coarsen=options.coarsen,
        )
        digest = checkpoint_facts(path, self.state)["checkpoint_digest"]
        self.settled = _Settled(path, digest, found)

    def _set_up(self) -> None:
        options = self.options
        job, settings = open_job(self.run_dir)
        index = read_index(self.run_dir)
        names = style_names(job.fields, index)
        assert self.settled is not None  # noqa: S101 - `_settle` has raised otherwise
        path, found = self.settled.checkpoint, self.settled.found
        if self.comm.rank:
            path, self.state = read_checkpoint(self.run_dir, str(path))
        self.trained = load_trained(settings, path, self.state, options.weights, len(names))
        del self.state
        if self.trained.facts["checkpoint_digest"] != self.settled.digest:
            raise CheckpointError(
                f"{path}: was replaced while the ranks read it; predict again, or copy it and "
                "name the copy with --checkpoint"
            )
        factor = settings.upscale_factor
        self.inputs = FieldInputs(
            job.fields,
            factor,
            found.root,
            found.groups,
            self.trained.scales,
            is_coarsened=found.is_coarsened,
        )
        self.styles = styles_of(job.fields, index, found, options.style)
        paths = name_outputs(options, self.inputs)
        memory, tile = self.memory_mb, options.tile
        self.tiling = tiling_of(self.trained, self.inputs, memory, tile, options.overlap)
        precision = self._precision()
        set_arithmetic(
            self.comm.device,
            is_float32=precision.name == "float32",
            is_deterministic=settings.deterministic,
        )
        self.predictor = Predictor(
            self.trained, self.inputs, self.tiling, self.comm.device, precision
        )
        self._check_members()
        self._plan_outputs(job, index, found, paths, precision)

    def _plan_outputs(
        self,
        job: Job,
        index: Index,
        found: Found,
        paths: Sequence[Sequence[Path]],
        precision: Precision,
    ) -> None:
        settings = self.trained.settings
        asked = self.options.seed
        self.seed = settings.seed if asked is None else asked
        facts = target_facts(job.fields, index, self.trained.scales.names)
        self.inputs.check_directions(facts.directions)
        is_finer = settings.upscale_factor > 1 and not found.is_coarsened
        looks_fine = is_finer and self.inputs.shape == facts.shape
        stamp = stamp_run(self.run_dir, "prediction", **self.trained.facts)
        self.draws: list[tuple[int, Draw]] = []
        self.outputs: list[Output] = []
        for sample, members in enumerate(paths):
            for member, path in enumerate(members):
                seed = self._seed_of(sample, member)
                self.draws.append((sample, Draw(seed, self.styles[sample])))
                notes = self._notes(found, sample, member, precision)
                sheet = sheet_of(job, self.trained, self.inputs, self.tiling, facts.units, notes)
                self.outputs.append(Output(path, sheet, stamp, self.tag))
        tiles = self.tiling.plan.num_tiles * len(self.outputs) // self.comm.world_size
        cells = math.prod(self.tiling.plan.shape) * len(self.outputs)
        self.progress = TileProgress(max(1, tiles), cells, is_shown=self.comm.rank == 0)
        if self.comm.rank == 0:
            tell_plan(
                self.trained,
                self.inputs,
                self.tiling,
                f"{self.comm.device.type} in {precision.name}",
            )
            if looks_fine:
                tell_of_fine_input()

    def _precision(self) -> Precision:
        asked, saved = self.options.precision, self.trained.precision
        if asked == "run":
            asked = saved.get("name", "float32")
            return Precision(asked, "as trained", saved.get("memory_format", "contiguous"))
        layout = "contiguous" if asked == "float32" else "channels_last"
        if asked == saved.get("name"):
            layout = saved.get("memory_format", layout)
        return Precision(asked, "asked for", layout)

    def _check_members(self) -> None:
        options = self.options
        if options.members > 1 and not (self.predictor.has_noise and options.has_noise):
            raise ConfigError(
                f"--members: {options.members} predictions would all be alike, as the generator "
                "gets no noise; leave it out"
            )

    def _seed_of(self, sample: int, member: int) -> int | None:
        if not (self.options.has_noise and self.predictor.has_noise):
            return None
        return member_seed(self.seed, member, self.inputs.paths(sample)[0].name)

    def _notes(
        self, found: Found, sample: int, member: int, precision: Precision
    ) -> dict[str, str]:
        drawn = self._seed_of(sample, member) is not None
        noise = f"seed {self.seed}, member {member}" if drawn else "none"
        notes = {
            "source": " ".join(path.name for path in self.inputs.paths(sample)),
            "hpctrain_input": "block means" if found.is_coarsened else "as given",
            "hpctrain_noise": noise,
            "hpctrain_weights": self.trained.weights,
            "hpctrain_precision": precision.name,
            "hpctrain_tiles": words_of(self.tiling),
        }
        if self.styles[sample]:
            notes["hpctrain_style"] = " ".join(f"{v:g}" for v in self.styles[sample])
        return notes

    def _blocks(self) -> list[Block]:
        channels = self.trained.channels[1]
        return self.tiling.plan.blocks(_BLOCK_CELLS // channels, self.comm.world_size)

    def _fill(self, numbers: Sequence[int], blocks: Sequence[Block]) -> None:
        """Compute some outputs together, each rank its blocks; half-written ones never appear."""
        is_first = self.comm.rank == 0
        with ExitStack() as stack:
            if is_first:
                for number in numbers:
                    stack.callback(self.outputs[number].discard)
            self._together(lambda: self._create(numbers if is_first else ()))
            self._together(lambda: self._compute(numbers, blocks))
            self._together(lambda: self._publish(numbers if is_first else ()))
            stack.pop_all()

    def _create(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.outputs[number].create()

    def _publish(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.outputs[number].publish()

    def _together(self, work: Callable[[], object]) -> None:
        """Work on every rank, after which all go on or none."""
        error: BaseException | None = None
        try:
            work()
        except Exception as e:  # noqa: BLE001 - raised by `agree`, on the first that failed
            error = e
            if self.comm.world_size > 1:
                logger.warning("failed (%s); ends with the other ranks", type(e).__name__)
        agree(self.comm, error)

    def _compute(self, numbers: Sequence[int], blocks: Sequence[Block]) -> None:
        units = [(number, block) for number in numbers for block in blocks]
        for number, block in _share(units, self.comm):
            sample, draw = self.draws[number]
            values = self.predictor.block(sample, block, draw, self.progress.add)
            self.outputs[number].write(block, values)
            self.inputs.close(sample)
        for number in numbers:
            self.outputs[number].sync()


def _share(units: Sequence[tuple[int, Block]], comm: Communicator) -> Iterator[tuple[int, Block]]:
    """This rank's units: neighbours in the file, so that ranks read and write apart."""
    n, rank, size = len(units), comm.rank, comm.world_size
    yield from units[rank * n // size : (rank + 1) * n // size]


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
