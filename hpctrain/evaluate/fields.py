"""Whole validation fields of a run: truth, plain upsamplings, and what its network makes of them.

The network's fields come from the tiles of `hpctrain predict`, so that they have no seams and are
those that a prediction writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hpctrain.comm import Ranks
from hpctrain.data.inputs import FieldInputs
from hpctrain.data.targets import FieldTargets
from hpctrain.index import read_index
from hpctrain.models import upsample_tricubic, upsample_trilinear
from hpctrain.predict.arithmetic import set_arithmetic
from hpctrain.predict.find import find_inputs, style_names, styles_of
from hpctrain.predict.noise import member_seed
from hpctrain.predict.notes import words_of
from hpctrain.predict.predictor import Draw, Predictor, tiling_of
from hpctrain.predict.ranks import choose_device, memory_mb_of, set_threads
from hpctrain.predict.tiles import Block
from hpctrain.predict.trained import load_trained, open_job, read_checkpoint
from hpctrain.train.precision import Precision

Array = NDArray[np.float32]

_BLOCK_CELLS = 1 << 22
"""Output cells of a block, all channels, whose members are summed up together: 170 MB in all."""
_SLAB_CELLS = 1 << 22
"""Output cells of a slab, all channels, that is upsampled at a time."""
_HALO = 2
"""Cells around a slab that the widest plain upsampling sees."""


class WholeFields:
    """The validation files of a run, and its network of the newest checkpoint."""

    def __init__(self, run_dir: Path, memory_mb: int | None = None) -> None:
        """Open them.

        Args:
            run_dir: the run directory.
            memory_mb: for the activations of a tile; None: as `hpctrain predict`.

        Raises:
            ConfigError: the job trains no fields.
            CheckpointError: there is no whole checkpoint, or it is of another generator.
            DataError: there are no validation files, or they cannot be read.
        """
        self.job, self.settings = open_job(run_dir)
        path, state = read_checkpoint(run_dir, None)
        index = read_index(run_dir)
        names = style_names(self.job.fields, index)
        self.trained = load_trained(self.settings, path, state, "auto", len(names))
        self.factor = self.settings.upscale_factor
        found = find_inputs(self.job.fields, index, (), self.factor, coarsen=False)
        self.inputs = FieldInputs(
            self.job.fields,
            self.factor,
            found.root,
            found.groups,
            self.trained.scales,
            is_coarsened=found.is_coarsened,
        )
        rows = index.split("validation")
        self.targets = FieldTargets(self.job.fields, index.root, [row.targets for row in rows])
        self._styles = styles_of(self.job.fields, index, found, ())
        set_threads(Ranks(0, 1, 0, 1, ""))
        device = choose_device("auto")
        set_arithmetic(device, is_float32=True, is_deterministic=self.settings.deterministic)
        self._tiling = tiling_of(
            self.trained, self.inputs, memory_mb or memory_mb_of(device), (), None
        )
        precision = Precision("float32", "for figures", "contiguous")
        self._predictor = Predictor(self.trained, self.inputs, self._tiling, device, precision)
        self._blocks = self._tiling.plan.blocks(_BLOCK_CELLS // len(self.variables))

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self.targets.variables

    @property
    def has_noise(self) -> bool:
        """Whether the network takes noise."""
        return self._predictor.has_noise

    @property
    def facts(self) -> dict[str, Any]:
        """Of the checkpoint, for stamps."""
        return dict(self.trained.facts)

    @property
    def words(self) -> str:
        """Tiles, halo and overlap in one line."""
        return words_of(self._tiling)

    @property
    def num_tiles(self) -> int:
        """Tiles of one field, about: blocks share some."""
        return self._tiling.plan.num_tiles

    @property
    def yardsticks(self) -> tuple[str, ...]:
        """What the input alone makes of the target; none where the two have unequal channels."""
        if self.inputs.num_channels != len(self.variables):
            return ()
        return ("trilinear", "tricubic") if self.factor > 1 else ("input",)

    def truth(self, file: int) -> Array:
        """The field as it is in its files, (C, n0, n1, n2)."""
        found = self.targets.read(file, 0, self.targets.shape[0])
        self.targets.close(file)
        return found

    def upsampled(self, file: int, kind: str) -> Array:
        """The input brought to the cells of the target in a plain way, (C, n0, n1, n2).

        Args:
            file: number of the field.
            kind: one of `yardsticks`.
        """
        upsample = upsample_tricubic if kind == "tricubic" else upsample_trilinear
        depth, rows, columns = self.inputs.shape
        a, b, c = (0 if self.factor == 1 else _HALO,) * 3
        out = np.empty((len(self.variables), *self.targets.shape), np.float32)
        layer = math.prod(out.shape) // depth
        step = max(1, _SLAB_CELLS // layer)
        for first in range(0, depth, step):
            count = min(step, depth - first)
            x = self.inputs.read(file, (first, 0, 0), (count, rows, columns), (a, b, c))
            y = upsample(torch.from_numpy(x)[None], self.factor, (a, b, c))
            slab = slice(first * self.factor, (first + count) * self.factor)
            out[:, slab] = self.trained.scales.for_inputs.denormalize(y)[0].numpy()
            self.inputs.turn_back(out[:, slab], (first, 0, 0))
        return out

    def generated(self, file: int, tell: Callable[[], None] = lambda: None) -> Array:
        """What the network makes of it without noise, (C, n0, n1, n2)."""
        out = np.empty((len(self.variables), *self.targets.shape), np.float32)
        for block in self._blocks:
            draw = Draw(None, self._styles[file])
            out[(slice(None), *_cells(block))] = self._predictor.block(file, block, draw, tell)
        return out

    def members(
        self, file: int, count: int, tell: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[tuple[slice, slice, slice], Iterator[Array]]]:
        """The same with noise, block by block: where one lies, and all its members one by one.

        A member has the noise that `hpctrain predict --members` gives it.
        """
        name = self.inputs.paths(file)[0].name
        draws = [
            Draw(member_seed(self.settings.seed, m, name), self._styles[file]) for m in range(count)
        ]
        for block in self._blocks:
            yield _cells(block), (self._predictor.block(file, block, d, tell) for d in draws)

    def release(self, file: int) -> None:
        """Let go of what is kept of a field's files."""
        self.inputs.release(file)


def _cells(block: Block) -> tuple[slice, slice, slice]:
    a, b, c = (slice(*span) for span in block.spans)
    return a, b, c
