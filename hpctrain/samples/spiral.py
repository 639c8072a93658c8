"""How a sheet is rolled up: an Archimedean spiral that time has squeezed and crumpled.

Places in a slice are (y, x) in voxels, z is the slice. On the sheet, columns count voxels of arc
from the inner end, rows are slices. The written side, the recto, faces the axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpctrain.samples.papyrus import THICKNESS, Array, smooth_noise

INNER = 48.0
"""Radius at which the sheet begins; 32 layers towards the axis must be there."""
PITCH = 24.0
"""From wrap to wrap."""
SQUEEZE, CRUMPLE = 0.07, 0.02
"""How far an oval, and folds of a random form, push the radius in or out, relatively."""
LEAD = 6.0
"""Space before a wrap's recto that still belongs to it, so that ink may rise from it."""
EDGE = 26
"""Air around the roll; 32 layers below the outermost recto end there."""
_BINS = 4096


@dataclass(frozen=True)
class Spiral:
    """A sheet of some rows and columns, rolled up."""

    rows: int
    columns: int
    push: Array
    """By what share the radius has grown: (rows, angles), float32."""
    shape: tuple[int, int]
    """Of a slice, (y, x)."""
    axis: tuple[float, float]
    """Where the roll's axis stands in each slice, (y, x); not the middle."""

    def angle(self, column: Array) -> Array:
        """The angle that belongs to an arc, from s = INNER angle + PITCH angle^2 / (4 pi)."""
        growth = PITCH / (4 * np.pi)
        angle: Array = (np.sqrt(INNER**2 + 4 * growth * column) - INNER) / (2 * growth)
        return angle

    def recto(self, row: int) -> tuple[Array, Array]:
        """Where the ideal surface of each column lies in a slice, and which way is up from it.

        Args:
            row: of the sheet; the slice.

        Returns:
            places (2, columns) and unit normals (2, columns), each (y, x); normals point from the
            recto towards the axis.
        """
        angle = self.angle(np.arange(-1, self.columns + 1, dtype=float))
        turn = angle / (2 * np.pi)
        radius = (INNER + PITCH * turn) * (1 + self._push_at(row, turn))
        places = np.stack([radius * np.sin(angle), radius * np.cos(angle)])
        along = places[:, 2:] - places[:, :-2]
        along /= np.hypot(*along)
        centre = np.array(self.axis)[:, None]
        return places[:, 1:-1] + centre, np.stack([along[1], -along[0]])

    def _push_at(self, row: int, turn: Array) -> Array:
        position = np.mod(turn, 1.0) * _BINS
        low = position.astype(int) % _BINS
        share = position - np.floor(position)
        push = self.push[row]
        found: Array = (1 - share) * push[low] + share * push[(low + 1) % _BINS]
        return found


class Unroller:
    """For each voxel of a slice: where on the sheet it is, and how deep."""

    def __init__(self, spiral: Spiral) -> None:
        self.spiral = spiral
        y, x = (np.arange(n) - c for n, c in zip(spiral.shape, spiral.axis, strict=True))
        self._radius = np.hypot(y[:, None], x).astype(np.float32).ravel()
        turn = np.arctan2(y[:, None], x).ravel() / (2 * np.pi) % 1.0
        self._turn = turn.astype(np.float32)
        self._bins = np.rint(turn * _BINS).astype(np.int32) % _BINS

    def sheet_at(self, row: int) -> tuple[NDArray[np.integer], NDArray[np.integer], Array]:
        """Voxels that may hold papyrus.

        Args:
            row: the slice.

        Returns:
            Their places in the flattened slice, columns of the sheet, and depth below the ideal
            recto, outwards.
        """
        radius = self._radius / (1 + self.spiral.push[row][self._bins])
        turns = (radius - np.float32(INNER)) / np.float32(PITCH) - self._turn
        wrap = np.floor(turns + np.float32(LEAD / PITCH))
        depth = (turns - wrap) * np.float32(PITCH)
        angle = (wrap + self._turn) * np.float32(2 * np.pi)
        arc = angle * (np.float32(INNER) + np.float32(PITCH / (4 * np.pi)) * angle)
        column = np.rint(arc).astype(np.int32)
        is_near = (wrap >= 0) & (column < self.spiral.columns) & (depth < THICKNESS + LEAD)
        chosen = np.flatnonzero(is_near)
        return chosen, column[chosen], depth[chosen]


def roll_up(rows: int, columns: int, seed: int) -> Spiral:
    """A roll for a sheet of so many rows and columns."""
    rng = np.random.default_rng([seed, 2])
    angle = 2 * np.pi * np.arange(_BINS) / _BINS
    # Folds run along the roll and change slowly.
    folds = smooth_noise(rng, (rows, 256), (60, 8))
    fine = np.stack([np.interp(angle, 2 * np.pi * np.arange(257) / 256, [*f, f[0]]) for f in folds])
    push = SQUEEZE * np.cos(2 * (angle - rng.uniform(0, np.pi))) + CRUMPLE * fine
    whole = Spiral(rows, columns, push.astype(np.float32), (0, 0), (0.0, 0.0))
    last = float(whole.angle(np.array([float(columns)]))[0])
    reach = (INNER + PITCH * last / (2 * np.pi) + THICKNESS + EDGE) * (1 + push.max(0))
    y, x = reach * np.sin(angle), reach * np.cos(angle)
    shape = (int(np.ptp(y)) + 1, int(np.ptp(x)) + 1)
    return Spiral(rows, columns, whole.push, shape, (float(-y.min()), float(-x.min())))
