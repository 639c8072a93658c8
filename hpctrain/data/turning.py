"""Which channels of a field are components of a vector, and turn with the field."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hpctrain.config.data import Fields
from hpctrain.data.geometry import rotate_longitude
from hpctrain.data.scales import vectors_of
from hpctrain.data.source import Array, FieldSource
from hpctrain.errors import DataError


@dataclass(frozen=True)
class SlabFrame:
    """Turns vx, vy between the globe's frame and that of a slab's first column at longitude 0.

    Attributes:
        channels: where vx and vy are.
        direction: 1 where columns go east, else -1.
        num_columns: coarse columns around the globe.
    """

    channels: tuple[int, int]
    direction: int
    num_columns: int

    def enter(self, field: Array, column: int) -> None:
        """Turn a field (C, n0, n1, n2), whose first coarse column is given, in place."""
        rotate_longitude(field, -self._angle(column), self.channels)

    def leave(self, field: Array, column: int) -> None:
        """Turn it back."""
        rotate_longitude(field, self._angle(column), self.channels)

    def _angle(self, column: int) -> float:
        return self.direction * 2 * math.pi * column / self.num_columns


def slab_frame(
    fields: Fields, target: FieldSource, given: FieldSource | None, num_columns: int
) -> SlabFrame | None:
    """The frame that slabs are turned into; None where they are not.

    Validation samples and those without a roll are turned too, so that all samples stand in the
    frame of a first column at longitude 0.

    Args:
        fields: the `data:` block.
        target: high-resolution files.
        given: low-resolution files, if there are such.
        num_columns: coarse columns around the globe.

    Raises:
        DataError: one of vx and vy alone, or inputs with other variables.
    """
    if fields.geometry != "sphere" or not fields.augment.roll_longitude:
        return None
    names = target.names
    found = [v for v in ("vx", "vy") if v in names]
    if len(found) == 1:
        raise DataError(
            f"data.augment.roll_longitude: turns vx and vy together, but only {found[0]} is "
            "among the variables; add the other, or set roll_longitude: false"
        )
    if not found:
        _check_named(fields, target)
        return None
    if given is not None and given.names != names:
        raise DataError(
            "data.augment.roll_longitude: inputs have other variables than targets, so vx and "
            "vy cannot be turned in both; set roll_longitude: false"
        )
    longitudes = target.longitudes
    direction = -1 if longitudes and longitudes[-1] < longitudes[0] else 1
    return SlabFrame((names.index("vx"), names.index("vy")), direction, num_columns)


def _check_named(fields: Fields, target: FieldSource) -> None:
    """Npy channels without names may be vx and vy; rolling them unturned would be wrong."""
    kinds = {header.kind for header in target.first.group.headers}
    if kinds == {"npy"} and len(target.names) > 1 and not fields.variables:
        raise DataError(
            f"data.variables: the {len(target.names)} channels of the npy files have no "
            "names, so a longitude roll cannot find vx and vy to turn; name the channels, or "
            "set data.augment.roll_longitude: false"
        )


def turned_together(fields: Fields, source: FieldSource) -> list[list[int]]:
    """Channels that turn together, for the octahedral augmentation; none without it.

    Raises:
        DataError: a vector lacks a component.
    """
    if not fields.augment.octahedral:
        return []
    arrays = arrays_of(source)
    found = vectors_of(source.names, fields.geometry, arrays)
    if fields.crop[0] == 1:
        pairs = [list(range(s.start, s.stop)) for s in arrays if s.stop - s.start == 2]
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
