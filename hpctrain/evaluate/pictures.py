"""What is drawn of whole fields: some layers and one meridian, and one layer over time."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.analysis.figures import pick_layers
from hpctrain.analysis.whole_files import MAX_FRAMES, middle_of

Array = NDArray[Any]

SHOWN = ("truth", "trilinear", "input", "generator")


class Pictures:
    """An npz file that grows with the fields, so that none of them stays in memory.

    It holds `layers` and the coordinates; `shells/KIND` (C, L, H, W) and `section/KIND` (C, D, H)
    of the last field; `frames`, the numbers of some fields, and `time/KIND/C/I` (H, W) of variable
    C on the middle layer of frame I.
    """

    def __init__(
        self, path: Path, coordinates: Sequence[Array | None], shape: Sequence[int], count: int
    ) -> None:
        """Choose what is shown.

        Args:
            path: where it will be; until it is whole it has another name.
            coordinates: radii, latitudes, longitudes; None where unknown.
            shape: cells of a field.
            count: of the fields; of more than `MAX_FRAMES` some are left out of the animation.
        """
        frames = np.unique(np.linspace(0, count - 1, min(count, MAX_FRAMES)).astype(int))
        self._frames, self._last = frames.tolist(), count - 1
        self._path = path
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        radii = coordinates[0]
        rises = radii is not None and radii[-1] > radii[0]
        self._layers = pick_layers(shape[0])[:: -1 if rises else 1]  # the top first
        names = ("radii", "latitudes", "longitudes")
        self._axes = {n: x for n, x in zip(names, coordinates, strict=True) if x is not None}

    def __enter__(self) -> Pictures:
        self._file = zipfile.ZipFile(self._part, "w", zipfile.ZIP_DEFLATED)
        self._put("layers", np.array(self._layers))
        self._put("frames", np.array(self._frames))
        for name, values in self._axes.items():
            self._put(name, values)
        return self

    def add(self, number: int, kind: str, field: Array) -> None:
        """Take what is shown of a field.

        Args:
            number: of the field, from 0 on.
            kind: what it is.
            field: (C, D, H, W).
        """
        if kind not in SHOWN:
            return
        if number in self._frames:
            layer, frame = middle_of(self._layers), self._frames.index(number)
            for c, channel in enumerate(field):
                self._put(f"time/{kind}/{c}/{frame}", channel[layer])
        if number == self._last:
            self._put(f"shells/{kind}", field[:, self._layers])
            self._put(f"section/{kind}", field[..., 0])

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)

    def _put(self, name: str, values: Array) -> None:
        with self._file.open(f"{name}.npy", "w", force_zip64=True) as stream:
            np.lib.format.write_array(stream, np.ascontiguousarray(values), allow_pickle=False)
