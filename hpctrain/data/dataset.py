"""Samples of a super-resolution training: pairs of a coarse crop with halo and its fine truth."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np

from hpctrain.config.data import Fields
from hpctrain.data.anchors import make_anchors
from hpctrain.data.augment import Augmentation
from hpctrain.data.coarse import CoarseFields
from hpctrain.data.geometry import Halo, each_axis, modes_of
from hpctrain.data.measured import measured_scales
from hpctrain.data.page_cache import let_go
from hpctrain.data.scales import Scales
from hpctrain.data.source import Array, FieldSource
from hpctrain.data.styles import read_styles
from hpctrain.data.turning import slab_frame, turned_together
from hpctrain.errors import DataError
from hpctrain.index.beside import place_of
from hpctrain.index.fields.grid import Triple
from hpctrain.index.fields.layout import AXES
from hpctrain.index.fields.plan import plan_fields
from hpctrain.index.table import Index


class FieldDataset:
    """Files x anchors; sample i is anchor i % anchors of file i // anchors."""

    def __init__(
        self,
        fields: Fields,
        index: Index,
        split: str,
        upscale_factor: int,
        halo: Halo,
        seed: int,
        scales: Scales | None = None,
    ) -> None:
        """Open the first files and settle the grid.

        Args:
            fields: the `data:` block.
            index: what the run reads.
            split: 'train' or 'validation'; only training samples are augmented.
            upscale_factor: fine cells a coarse cell along each axis.
            halo: coarse cells beyond the crop on each side.
            seed: of the augmentation.
            scales: normalisation; None: physical values. May be set later.

        Raises:
            DataError: files that cannot be read or whose grid does not fit.
        """
        rows = index.split(split)
        if not rows:
            raise DataError(f"index: no file for {split}; give data.validation_steps or more files")
        self.fields, self.split, self.factor = fields, split, upscale_factor
        self.halo = each_axis(halo)
        self.seed, self.scales = seed, scales
        self._target = FieldSource(index.root, [r.targets for r in rows], fields, is_input=False)
        self._input: FieldSource | None = None
        if rows[0].inputs:
            self._input = FieldSource(index.root, [r.inputs for r in rows], fields, is_input=True)
        self._settle()
        self._frame = slab_frame(fields, self._target, self._input, self.coarse_shape[2])
        self._cut()
        self._check_noise()
        self.style_names: tuple[str, ...] = ()
        self.styles: np.ndarray | None = None
        if fields.styles:
            files = [row.targets[0] for row in rows]
            table = place_of(fields.styles, index.home)
            self.style_names, self.styles = read_styles(table, files)

    def __len__(self) -> int:
        return len(self._target) * len(self.anchors)

    def recut(self, crop: Triple, stride: Triple | None, halo: Halo) -> FieldDataset:
        """Samples of another size from the same files; both share what is open and was read.

        Args:
            crop: coarse cells of a sample.
            stride: from one sample to the next; None: `crop`.
            halo: coarse cells beyond the crop on each side.
        """
        other = copy.copy(self)
        other.fields = self.fields.model_copy(update={"crop": crop, "stride": stride})
        other.halo = each_axis(halo)
        other._cut()
        return other

    @property
    def samples_per_file(self) -> int:
        """Samples that lie in the same files and follow each other."""
        return len(self.anchors)

    def paths(self, i: int) -> list[Path]:
        """The files of a sample."""
        file = i // len(self.anchors)
        return [p for s in (self._target, self._input) if s is not None for p in s.paths(file)]

    def release(self, i: int) -> None:
        """Close the files of a sample, and let their memory go; they are opened anew on need."""
        for source in (self._target, self._input):
            if source is not None:
                source.close(i // len(self.anchors))
        let_go(self.paths(i))

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the target's channels."""
        return self._target.names

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the target's channels; empty where the file gives none."""
        return self._target.first.units

    @property
    def num_input_channels(self) -> int:
        """Channels of the input."""
        return len((self._input or self._target).names)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(C, n0, n1, n2) of an input with its halo."""
        a, b, c = (n + 2 * h for n, h in zip(self.fields.crop, self.halo, strict=True))
        return self.num_input_channels, a, b, c

    @property
    def target_shape(self) -> tuple[int, int, int, int]:
        """(C, n0, n1, n2) of a target."""
        a, b, c = (n * self.factor for n in self.fields.crop)
        return len(self.variables), a, b, c

    def file_of(self, i: int) -> int:
        """Number of the file that a sample is cut from."""
        return i // len(self.anchors)

    def sample_name(self, i: int) -> str:
        """File and first coarse cell of a sample, for messages and titles."""
        file, anchor = divmod(i, len(self.anchors))
        names = AXES[self.fields.geometry]
        place = ", ".join(f"{n} {s}" for n, s in zip(names, self.anchors[anchor], strict=True))
        return f"{self._target.label(file)} [{place}]"

    def coordinates(self, i: int) -> tuple[np.ndarray | None, ...]:
        """Centres of a target's cells along each axis without augmentation; None where unknown."""
        anchor = self.anchors[i % len(self.anchors)]
        found = []
        for axis, start, size in zip(self._axes, anchor, self.fields.crop, strict=True):
            cells = np.arange(start * self.factor, (start + size) * self.factor) % axis.size
            found.append(None if axis.coordinates is None else axis.coordinates[cells])
        return tuple(found)

    def first_shell(self, i: int) -> int:
        """Shell or layer of the whole field that a target begins with, without augmentation."""
        return self.anchors[i % len(self.anchors)][0] * self.factor

    @property
    def num_shells(self) -> int:
        """Shells or layers of a whole target field."""
        return self.coarse_shape[0] * self.factor

    @property
    def radii(self) -> tuple[np.ndarray, str] | None:
        """Radii of a globe's shells, and their unit; None where there are none."""
        values = self._axes[0].coordinates
        if values is None or self.fields.geometry != "sphere":
            return None
        return values[: self.num_shells], self._target.radius_unit

    def measure_scales(self) -> Scales:
        """Scales of these files by `data.normalization`; for the training split, on one rank."""
        return measured_scales(self.fields, self.factor, self._target, self._input)

    def read_into(self, i: int, epoch: int, out_input: Array, out_target: Array) -> None:
        """Read one sample.

        Args:
            i: its number.
            epoch: with seed and number it decides the augmentation.
            out_input: `input_shape`, float32, to fill.
            out_target: `target_shape`, float32, to fill.

        Raises:
            DataError: a number that is not finite, with its place.
        """
        file, anchor = divmod(i, len(self.anchors))
        is_trained = self.split == "train"
        start = self.anchors[anchor]
        if is_trained:
            start = self._augment.start(i, epoch, start)
        crop, factor = self.fields.crop, self.factor
        a, b, c = start
        fine = (a * factor, b * factor, c * factor)
        size = (crop[0] * factor, crop[1] * factor, crop[2] * factor)
        self._target.read(file, self._target.region(fine, size), out_target)
        if self._coarse is not None:
            self._coarse.read(file, start, crop, self.halo, out_input)
        elif self._input is not None:
            self._input.read(file, self._input.region(start, crop, self.halo), out_input)
        if self._frame is not None:
            self._frame.enter(out_target, start[2])
            self._frame.enter(out_input, start[2])
        if is_trained:
            self._augment.turn(i, epoch, out_target, self._vectors[0])
            self._augment.turn(i, epoch, out_input, self._vectors[1])
        if self.scales is not None:
            self.scales.normalize_(out_target, self.sample_name(i))
            self.scales.for_inputs.normalize_(out_input, self.sample_name(i))
        if is_trained:
            self._augment.vary(i, epoch, (out_input, out_target))

    def turn_back(self, i: int, field: Array) -> None:
        """Turn vx, vy of a field at the place of sample i, without augmentation, to the globe's.

        Args:
            i: number of the sample.
            field: (C, n0, n1, n2) in physical values; changed in place.
        """
        if self._frame is not None:
            self._frame.leave(field, self.anchors[i % len(self.anchors)][2])

    def _cut(self) -> None:
        """Where samples begin, and how they are varied: all that depends on their size."""
        fields = self.fields
        self.anchors = make_anchors(fields, self.coarse_shape, self.halo)
        self._augment = Augmentation(fields, self.coarse_shape, self.halo, self.seed)
        sources = (self._target, self._input or self._target)
        self._vectors = [turned_together(fields, source) for source in sources]

    def _settle(self) -> None:
        """Plan the grids and choose where inputs come from: files as they are, or memory."""
        given, target, fields = self._input, self._target, self.fields
        plan = plan_fields(
            fields,
            self.factor,
            target.first.group,
            target.longitudes,
            given.first.group if given else None,
            given.longitudes if given else (),
        )
        self.coarse_shape: Triple = plan.coarse
        self.grid = plan.target
        self._axes = target.use(plan.target)
        self._coarse: CoarseFields | None = None
        if given is None or plan.input is None:
            self._coarse = CoarseFields(target, plan.coarse, self.factor, modes_of(fields))
            return
        given.use(plan.input)
        if plan.input.is_resampled:
            self._coarse = CoarseFields(given, plan.coarse, 1, modes_of(fields))

    def _check_noise(self) -> None:
        augment, count = self.fields.augment, len(self.variables)
        is_noisy = augment.additive_std or augment.multiplicative_std
        if is_noisy and self.num_input_channels != count:
            raise DataError(
                "data.augment: additive_std and multiplicative_std change input and target alike, "
                f"but the input has {self.num_input_channels} channels and the target {count}; "
                "leave them out"
            )
