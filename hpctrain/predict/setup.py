"""What a prediction is made with: checkpoint, files, tiles and outputs, alike on all ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hpctrain.comm import Communicator
from hpctrain.config.job import Job
from hpctrain.data.inputs import FieldInputs
from hpctrain.errors import CheckpointError, ConfigError
from hpctrain.index import Index, read_index
from hpctrain.predict.arithmetic import precision_of, set_arithmetic
from hpctrain.predict.choose import Tiling
from hpctrain.predict.find import Found, find_inputs, style_names, styles_of, target_facts
from hpctrain.predict.noise import member_seed
from hpctrain.predict.notes import (
    tell_of_fine_input,
    tell_of_tiled_noise,
    tell_plan,
    words_of,
)
from hpctrain.predict.options import Options
from hpctrain.predict.outputs import Output, name_outputs, sheet_of, tag_here
from hpctrain.predict.predictor import Draw, Predictor, tiling_of
from hpctrain.predict.progress import TileProgress
from hpctrain.predict.ranks import memory_mb_of, together
from hpctrain.predict.trained import Trained, load_trained, open_job, read_checkpoint
from hpctrain.provenance import stamp_run
from hpctrain.train.precision import Precision
from hpctrain.train.stamps import checkpoint_facts


class _Settled(NamedTuple):
    """What all ranks take from the first."""

    checkpoint: Path
    digest: str
    found: Found


@dataclass(frozen=True)
class Ready:
    """All that a prediction needs."""

    trained: Trained
    inputs: FieldInputs
    tiling: Tiling
    predictor: Predictor
    draws: list[tuple[int, Draw]]
    """Sample and draw of each output."""
    outputs: list[Output]
    progress: TileProgress


def set_up(run_dir: Path, options: Options, comm: Communicator) -> Ready:
    """Set up on every rank; all fail together.

    Args:
        run_dir: the run directory.
        options: what is asked for.
        comm: the ranks.
    """
    own = _SetUp(run_dir.resolve(), options, comm)
    together(comm, own.settle)
    own.settled = comm.broadcast_object(own.settled)
    together(comm, own.set_up)
    return own.ready


class _SetUp:
    ready: Ready

    def __init__(self, run_dir: Path, options: Options, comm: Communicator) -> None:
        self.run_dir, self.options, self.comm = run_dir, options, comm
        self.settled: _Settled | None = None
        self.state: dict[str, Any] = {}
        own = tag_here(), options.memory_mb or memory_mb_of(comm.device)
        # devices may differ: all ranks take the tiles of the first
        self.tag, self.memory_mb = comm.broadcast_object(own)

    def settle(self) -> None:
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

    def set_up(self) -> None:
        """Network, inputs, tiles and outputs."""
        options = self.options
        job, settings = open_job(self.run_dir)
        index = read_index(self.run_dir)
        names = style_names(job.fields, index)
        assert self.settled is not None  # noqa: S101 - `settle` has raised otherwise
        path, found = self.settled.checkpoint, self.settled.found
        if self.comm.rank:
            path, self.state = read_checkpoint(self.run_dir, str(path))
        self.trained = load_trained(settings, path, self.state, options.weights, len(names))
        self.state = {}
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
        precision = precision_of(options.precision, self.trained.precision, self.trained.network)
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
        draws: list[tuple[int, Draw]] = []
        outputs: list[Output] = []
        for sample, members in enumerate(paths):
            for member, path in enumerate(members):
                seed = self._seed_of(sample, member)
                draws.append((sample, Draw(seed, self.styles[sample])))
                notes = self._notes(found, sample, member, precision)
                sheet = sheet_of(job, self.trained, self.inputs, self.tiling, facts.units, notes)
                outputs.append(Output(path, sheet, stamp, self.tag))
        tiles = self.tiling.plan.num_tiles * len(outputs) // self.comm.world_size
        cells = math.prod(self.tiling.plan.shape) * len(outputs)
        progress = TileProgress(max(1, tiles), cells, is_shown=self.comm.rank == 0)
        if self.comm.rank == 0:
            tell_plan(
                self.trained,
                self.inputs,
                self.tiling,
                f"{self.comm.device.type} in {precision.name}",
            )
            if looks_fine:
                tell_of_fine_input()
            is_cut = self.tiling.plan.num_tiles > 1 and draws[0][1].seed is not None
            if is_cut and self.predictor.draws_by_tile:
                tell_of_tiled_noise(is_planar=self.trained.is_planar)
        own = self.trained, self.inputs, self.tiling, self.predictor
        self.ready = Ready(*own, draws, outputs, progress)

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
