"""Samples of a super-resolution training: pairs of a coarse crop with halo and its fine truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hpctrain.config.data import Fields
from hpctrain.config.norms import Normalization
from hpctrain.data.anchors import make_anchors
from hpctrain.data.augment import Augmentation
from hpctrain.data.coarse import CoarseFields
from hpctrain.data.geometry import Halo, each_axis, modes_of, rotate_longitude
from hpctrain.data.page_cache import let_go
from hpctrain.data.scales import FieldNorm, Scales, measure_scales, vectors_of
from hpctrain.data.source import Array, FieldSource
from hpctrain.data.styles import read_styles
from hpctrain.errors import DataError
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
        self.anchors = make_anchors(fields, self.coarse_shape, self.halo)
        self._frame = self._velocity_channels()
        self._augment = Augmentation(fields, self.coarse_shape, self.halo, seed)
        self._vectors = self._find_vectors(self._target), self._find_vectors(self._input)
        self._check_noise()
        self.style_names: tuple[str, ...] = ()
        self.styles: np.ndarray | None = None
        if fields.styles:
            files = [row.targets[0] for row in rows]
            self.style_names, self.styles = read_styles(index.home / fields.styles, files)

    def __len__(self) -> int:
        return len(self._target) * len(self.anchors)

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

    def measure_scales(self) -> Scales:
        """Scales of these files by `data.normalization`; for the training split, on one rank."""
        fields = self.fields
        own = self._measure(self._target, fields.target_norms)
        if self._input is None:
            return own
        is_alike = len(self._input.names) == len(own.names) and (
            self.factor > 1 or self._input.names == own.names
        )
        if is_alike and not fields.input_norms:
            return own
        return replace(own, inputs=self._measure(self._input, fields.input_norms))

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
            angle = -self._direction * 2 * math.pi * start[2] / self.coarse_shape[2]
            rotate_longitude(out_target, angle, self._frame)
            rotate_longitude(out_input, angle, self._frame)
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
            start = self.anchors[i % len(self.anchors)][2]
            angle = self._direction * 2 * math.pi * start / self.coarse_shape[2]
            rotate_longitude(field, angle, self._frame)

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

    def _velocity_channels(self) -> tuple[int, int] | None:
        """Where vx and vy are, if slabs are turned into their own frame.

        Validation samples and those without a roll are turned too, so that all samples stand in
        the frame of a first column at longitude 0.
        """
        if self.fields.geometry != "sphere" or not self.fields.augment.roll_longitude:
            return None
        longitudes = self._target.longitudes
        self._direction = -1 if longitudes and longitudes[-1] < longitudes[0] else 1
        names = self.variables
        found = [v for v in ("vx", "vy") if v in names]
        if len(found) == 1:
            raise DataError(
                f"data.augment.roll_longitude: turns vx and vy together, but only {found[0]} is "
                "among the variables; add the other, or set roll_longitude: false"
            )
        if not found:
            self._check_named()
            return None
        if self._input is not None and self._input.names != names:
            raise DataError(
                "data.augment.roll_longitude: inputs have other variables than targets, so vx and "
                "vy cannot be turned in both; set roll_longitude: false"
            )
        return names.index("vx"), names.index("vy")

    def _check_named(self) -> None:
        """Npy channels without names may be vx and vy; rolling them unturned would be wrong."""
        kinds = {header.kind for header in self._target.first.group.headers}
        if kinds == {"npy"} and len(self.variables) > 1 and not self.fields.variables:
            raise DataError(
                f"data.variables: the {len(self.variables)} channels of the npy files have no "
                "names, so a longitude roll cannot find vx and vy to turn; name the channels, or "
                "set data.augment.roll_longitude: false"
            )

    def _measure(self, source: FieldSource, norms: Sequence[Normalization]) -> Scales:
        kind = self.fields.normalization
        vectors = vectors_of(source.names, self.fields.geometry, arrays_of(source))
        return measure_scales(source, kind, vectors, field_norms(source, norms))

    def _find_vectors(self, source: FieldSource | None) -> list[list[int]]:
        """Channels that turn together, for the octahedral augmentation."""
        source = source or self._target
        if not self.fields.augment.octahedral:
            return []
        found = vectors_of(source.names, self.fields.geometry, arrays_of(source))
        if self.fields.crop[0] == 1:
            pairs = [
                list(range(s.start, s.stop)) for s in arrays_of(source) if s.stop - s.start == 2
            ]
            return [*found, *pairs]
        for channels in found:
            if len(channels) != 3:
                names = ", ".join(source.names[c] for c in channels)
                raise DataError(
                    f"data.augment.octahedral: turns all three components of a vector, but only "
                    f"{names} are among the variables; add the other, or set it to false"
                )
        return found


def arrays_of(source: FieldSource) -> list[slice]:
    """Channels of each array of a source's files."""
    return [channels for channels, _ in source.first.blocks]


def field_norms(source: FieldSource, norms: Sequence[Normalization]) -> list[FieldNorm]:
    """Normalisations with the channels that they are for: those of each pattern's file."""
    layouts = source.first.group.layouts
    if not norms:
        return []
    if len(norms) != len(layouts):
        raise DataError(
            f"data: {len(norms)} normalisations for {len(layouts)} files a sample, such as "
            f"{source.label(0)}; give one for each file, or none"
        )
    found, start = [], 0
    for norm, layout in zip(norms, layouts, strict=True):
        stop = start + layout.num_channels
        found.append(FieldNorm(start, stop, norm.kind, dict(norm.options), norm.then))
        start = stop
    return found
