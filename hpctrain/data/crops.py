"""Samples of a training without inputs: slices or cubes of the fields in a box.

As ExaGAN's slices of CosmoFlow's universes (slice_universes.py), but cut out when they are asked
for: whole files are split into training and validation, so that no universe is in both, the order
is that of the seed, and slices may lie across any axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpctrain.config.data import Fields
from hpctrain.data.anchors import make_anchors
from hpctrain.data.augment import Augmentation
from hpctrain.data.measured import field_norms
from hpctrain.data.page_cache import let_go
from hpctrain.data.scales import Scales, measure_scales, vectors_of
from hpctrain.data.source import Array, FieldSource
from hpctrain.data.styles import read_styles
from hpctrain.data.turning import arrays_of
from hpctrain.errors import DataError
from hpctrain.index.beside import place_of
from hpctrain.index.fields.grid import Triple
from hpctrain.index.fields.layout import AXES
from hpctrain.index.fields.plan import plan_fields
from hpctrain.index.table import Index

_NO_HALO = (0, 0, 0)


@dataclass(frozen=True)
class _Cut:
    """Samples across one axis; sizes in the file's order of axes."""

    axis: int
    crop: Triple
    anchors: tuple[Triple, ...]
    augment: Augmentation


class CropDataset:
    """Files x (axes x anchors); sample i belongs to file i // `samples_per_file`."""

    num_input_channels = 0
    input_shape = (0, 1, 1, 1)
    """There is no input."""

    def __init__(
        self, fields: Fields, index: Index, split: str, seed: int, scales: Scales | None = None
    ) -> None:
        """Open the first files and settle the grid.

        Args:
            fields: the `data:` block.
            index: what the run reads.
            split: 'train' or 'validation'; only training samples are augmented.
            seed: of the augmentation.
            scales: normalisation; None: physical values. May be set later.

        Raises:
            DataError: files that cannot be read, a grid that does not fit, or options that only
                trainings with an input have.
        """
        rows = index.split(split)
        if not rows:
            raise DataError(f"index: no file for {split}; give data.validation_steps or more files")
        _check_options(fields)
        self.fields, self.split, self.scales, self.seed = fields, split, scales, seed
        self._source = FieldSource(index.root, [r.targets for r in rows], fields, is_input=False)
        group = self._source.first.group
        self._axes = self._source.use(plan_fields(fields, 1, group, ()).target)
        a, b, c = (axis.size for axis in self._axes)
        self.shape: Triple = (a, b, c)
        self._vectors = self._find_vectors()
        self._cuts = [self._cut(axis) for axis in fields.slice_axes]
        self.samples_per_file = sum(len(cut.anchors) for cut in self._cuts)
        self.style_names: tuple[str, ...] = ()
        self.styles: np.ndarray | None = None
        if fields.styles:
            files = [row.targets[0] for row in rows]
            self.style_names, self.styles = read_styles(place_of(fields.styles, index.home), files)

    def __len__(self) -> int:
        return len(self._source) * self.samples_per_file

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self._source.names

    @property
    def units(self) -> tuple[str, ...]:
        """Units of the channels; empty where the file gives none."""
        return self._source.first.units

    @property
    def target_shape(self) -> tuple[int, int, int, int]:
        """(C, n0, n1, n2) of a sample; n0 is 1 for slices."""
        return len(self.variables), *self.fields.crop

    @property
    def is_periodic(self) -> bool:
        """Whether each sample spans the whole periodic box along all of its axes."""
        if {axis.mode for axis in self._axes} != {"periodic"}:
            return False
        is_flat = self.fields.crop[0] == 1
        return all(
            n == size
            for cut in self._cuts
            for axis, (n, size) in enumerate(zip(cut.crop, self.shape, strict=True))
            if not (is_flat and axis == cut.axis)
        )

    def file_of(self, i: int) -> int:
        """Number of the file that a sample is cut from."""
        return i // self.samples_per_file

    def half_of(self, i: int) -> int | None:
        """0 or 1: which half of the data set a sample belongs to, for comparing the two.

        Halves hold different files, so that their distance has the scatter from one simulation to
        another. With styles, and with a single file, they are the halves of each file: files of
        unequal parameters would differ for another reason than chance. There slices across
        further axes belong to neither, None, as they cut through both halves.
        """
        if self.styles is None and len(self._source) > 1:
            return int(2 * self.file_of(i) >= len(self._source))
        number, count = i % self.samples_per_file, len(self._cuts[0].anchors)
        return int(2 * number >= count) if number < count else None

    def paths(self, i: int) -> list[Path]:
        """The files of a sample."""
        return self._source.paths(self.file_of(i))

    def release(self, i: int) -> None:
        """Close the files of a sample, and let their memory go; they are opened anew on need."""
        self._source.close(self.file_of(i))
        let_go(self.paths(i))

    def sample_name(self, i: int) -> str:
        """File, axis and first cell of a sample, for messages and titles."""
        cut, anchor = self._place(i)
        names = AXES["box"]
        place = ", ".join(f"{n} {s}" for n, s in zip(names, anchor, strict=True))
        across = f" across {names[cut.axis]}" if self.fields.crop[0] == 1 else ""
        return f"{self._source.label(self.file_of(i))} [{place}]{across}"

    def measure_scales(self) -> Scales:
        """Scales of these files by `data.normalization`; for the training split, on one rank."""
        norms = field_norms(self._source, self.fields.target_norms)
        return measure_scales(self._source, self.fields.normalization, self._vectors, norms)

    def read_into(self, i: int, epoch: int, out_input: Array, out_target: Array) -> None:
        """Read one sample; see `FieldDataset.read_into`.

        Args:
            i: its number.
            epoch: with seed and number it decides the augmentation.
            out_input: left as it is.
            out_target: `target_shape`, float32, to fill.
        """
        cut, start = self._place(i)
        is_trained = self.split == "train"
        if is_trained:
            start = cut.augment.start(i, epoch, start)
        out = out_target
        if cut.axis:
            out = np.empty((len(out_target), *cut.crop), np.float32)
        self._source.read(self.file_of(i), self._source.region(start, cut.crop), out)
        if is_trained:
            cut.augment.turn(i, epoch, out, self._vectors)
        if cut.axis:
            out_target[...] = np.moveaxis(out, 1 + cut.axis, 1)
        if self.scales is not None:
            self.scales.normalize_(out_target, self.sample_name(i))
        if is_trained:
            cut.augment.vary(i, epoch, (out_target,))

    def _place(self, i: int) -> tuple[_Cut, Triple]:
        number = i % self.samples_per_file
        for cut in self._cuts:
            if number < len(cut.anchors):
                return cut, cut.anchors[number]
            number -= len(cut.anchors)
        raise IndexError(i)

    def _cut(self, axis: int) -> _Cut:
        """Crop, stride and bounds of slices across one axis, in the file's order."""

        def turned(values: Triple | None) -> Triple | None:
            if values is None or not axis:
                return values
            rest = list(values[1:])
            rest.insert(axis, values[0])
            return rest[0], rest[1], rest[2]

        own = self.fields
        names = ("crop", "stride", "crop_start", "crop_stop")
        changes: dict[str, object] = {name: turned(getattr(own, name)) for name in names}
        max_shift = turned(own.augment.max_shift)
        changes["augment"] = own.augment.model_copy(update={"max_shift": max_shift})
        fields = own.model_copy(update=changes)
        for number, (n, size) in enumerate(zip(fields.crop, self.shape, strict=True)):
            if n > size:
                raise DataError(
                    f"{self._source.paths(0)[0]}: slices across axis {axis} of data.slice_axes "
                    f"have {n} cells along axis {number}, and the box has {size}; give a smaller "
                    "data.crop, or leave the axis out"
                )
        anchors = make_anchors(fields, self.shape, _NO_HALO)
        augment = Augmentation(fields, self.shape, _NO_HALO, self.seed)
        return _Cut(axis, fields.crop, anchors, augment)

    def _find_vectors(self) -> list[list[int]]:
        """Channels that turn together; slices across several axes would mix their components."""
        found = vectors_of(self.variables, self.fields.geometry, arrays_of(self._source))
        if found and len(self.fields.slice_axes) > 1:
            raise DataError(
                f"data.slice_axes: {list(self.fields.slice_axes)} would mix the components of a "
                "vector field; give one axis, or scalar fields"
            )
        return found


def _check_options(fields: Fields) -> None:
    """Refuse what has no effect without an input, or on a sphere."""
    if fields.geometry != "box":
        raise DataError(
            f"data.geometry: field_gan learns fields in a box; found {fields.geometry}; give "
            "geometry: box"
        )
    if fields.inputs or fields.input_norms:
        raise DataError("data.inputs: field_gan makes fields from noise; leave inputs out")
    if fields.slice_axes != (0,) and fields.crop[0] != 1:
        raise DataError(
            f"data.slice_axes: cuts slices, and data.crop is {list(fields.crop)}; give a crop of "
            "one cell along the first axis, such as [1, 64, 64]"
        )
    if len(set(fields.slice_axes)) < len(fields.slice_axes):
        raise DataError(f"data.slice_axes: {list(fields.slice_axes)} names an axis twice")
