"""Small folders of pairs, and an index of them, without any scan."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from hpctrain.config.pair_data import Pairs
from hpctrain.data.pairs import PairDataset
from hpctrain.data.sampler import Share
from hpctrain.formats.mobotix import encode
from hpctrain.formats.sage_names import frame_name, thermal_name
from hpctrain.index.table import Columns, Index, Row

NS = 1_678_309_118_000_000_000
COLUMNS = Columns(("rgb", "thermal"), ("sky",))
SIZES = {"rgb": (120, 160), "ir": (60, 80)}


def png(values) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.asarray(values)).save(file, "PNG")
    return file.getvalue()


def npy(values) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def shares(size):
    """Places of pixel centres in shares of the picture, down and across."""
    rows, columns = np.indices(size)
    return (rows + 0.5) / size[0], (columns + 0.5) / size[1]


def places_picture(size=SIZES["rgb"]):
    """Red tells how far across, green how far down."""
    down, across = shares(size)
    return np.stack((255 * across, 255 * down, 0 * down), -1).round().astype(np.uint8)


def write(root: Path, files: list[dict[str, tuple[str, bytes]]], splits=None, node="W02D") -> Index:
    """An index of samples, each by modality the file's name and content."""
    rows = []
    for number, sample in enumerate(files):
        cells = {"id": f"{node}/{number}", "node": node, "sky": str(number % 2)}
        cells["split"] = splits[number] if splits else "train"
        for modality, (name, data) in sample.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            cells[modality] = name
            cells[f"{modality}_size"] = str(len(data))
            cells[f"{modality}_sha256"] = hashlib.sha256(data).hexdigest()
            cells[f"{modality}_mtime"] = str(path.stat().st_mtime_ns)
        rows.append(Row.make(COLUMNS, **cells))
    return Index(root, rows, {}, COLUMNS)


def camera_pair(number=0, counts=None, side="right", size=(64, 48), optical=None):
    """Files of one frame as a camera writes them: both halves side by side, and a table."""
    rng = np.random.default_rng(number)
    if counts is None:
        counts = rng.integers(6000, 7600, size[::-1]).astype(np.uint16)
    if optical is None:
        optical = rng.integers(0, 256, (48, 72, 3)).astype(np.uint8)
    other = np.full_like(optical, 255 - number)
    halves = (optical, other) if side == "right" else (other, optical)
    picture = np.hstack(halves)
    ns = NS + number * 10**9
    name = thermal_name(ns, side, counts.shape[::-1], 1)
    rgb = frame_name(ns, picture.shape[1], picture.shape[0], 1).replace("jpg", "png")
    # a picture without losses under a camera's name
    return {
        "rgb": (f"rgb/{rgb.replace('png', 'jpg')}", png(picture)),
        "thermal": (f"thermal/{name}", encode(counts, name)),
    }


def pairs(**more) -> Pairs:
    """A `data:` block; `rgb` and `ir` change those blocks."""
    rgb = {"channels": "rgb", "size": SIZES["rgb"], "crop": (48, 48), **more.pop("rgb", {})}
    ir = {"channels": "temperature", "size": SIZES["ir"], "crop": (24, 24), **more.pop("ir", {})}
    page = {"kind": "pairs", "index": "index.csv", "modalities": {"rgb": rgb, "ir": ir}, **more}
    return Pairs.model_validate(page)


PLAIN = {
    "colour": {"probability": 0, "grey": 0},
    "thermal": {},
}
"""Views that change no value."""


def whole_share(dataset: PairDataset, epoch=0) -> Share:
    """All samples of a split as one batch."""
    return Share(epoch, 0, tuple(range(len(dataset))), len(dataset))
