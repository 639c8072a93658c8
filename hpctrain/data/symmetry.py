"""The symmetries of a cube and of a square, acting on scalar and vector fields.

A symmetry is a signed permutation of the axes: the octahedral group of 48, or the 8 that keep the
first axis. A turned field f' has f'(g x) = f(x), and its vectors are turned by g as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Symmetry:
    """New axis i is old axis `axes[i]`, run through backwards where `flips[i]`."""

    axes: Triple = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)

    def apply(
        self, x: NDArray[np.float32], vectors: Sequence[Sequence[int]] = ()
    ) -> NDArray[np.float32]:
        """Turn a field.

        Args:
            x: (C, n0, n1, n2).
            vectors: channels of each vector: three components along the axes, or two along the
                last two.

        Returns:
            A new array; its shape is permuted.
        """
        turned = x.transpose(0, *(1 + a for a in self.axes))
        turned = turned[(slice(None), *(slice(None, None, -1 if f else 1) for f in self.flips))]
        y = np.ascontiguousarray(turned)
        for channels in vectors:
            first = 3 - len(channels)
            for i, channel in enumerate(channels, start=first):
                sign = np.float32(-1 if self.flips[i] else 1)
                y[channel] = sign * turned[channels[self.axes[i] - first]]
        return y

    def after(self, other: Symmetry) -> Symmetry:
        """The symmetry that applies the other first and then this one."""
        a, b, c = (other.axes[i] for i in self.axes)
        x, y, z = (f != other.flips[i] for i, f in zip(self.axes, self.flips, strict=True))
        return Symmetry((a, b, c), (x, y, z))

    def inverse(self) -> Symmetry:
        """The symmetry that undoes this one."""
        a, b, c = (self.axes.index(i) for i in range(3))
        return Symmetry((a, b, c), (self.flips[a], self.flips[b], self.flips[c]))


def symmetries(sizes: Sequence[object], *, is_planar: bool) -> list[Symmetry]:
    """All that leave a sample's shape as it is, in a fixed order.

    Args:
        sizes: what tells the three axes apart, such as crop and halo of each.
        is_planar: keep the first axis.
    """
    found = []
    for a, b, c in itertools.permutations(range(3)):
        if any(sizes[i] != sizes[k] for i, k in enumerate((a, b, c))) or (is_planar and a):
            continue
        for x, y, z in itertools.product((False, True), repeat=3):
            if not (is_planar and x):
                found.append(Symmetry((a, b, c), (x, y, z)))
    return found
