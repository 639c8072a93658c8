"""Fragments, slices and stores of small volumes whose grey values say where they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tifffile
import zarr
from PIL import Image

from hpctrain.config.scroll_data import Scroll
from hpctrain.convert.command import run as convert
from hpctrain.data.scroll import ScrollDataset
from hpctrain.index.scroll.build import build_scroll_index

SHAPE = (9, 40, 60)


def places(shape=SHAPE):
    """Grey values (z, y, x) that say where they are: z * 8000 + y * 100 + x."""
    z, y, x = np.indices(shape)
    return (z * 7000 + y * 100 + x).astype(np.uint16)


def place_of(values):
    """The cells that grey values of `places` are of."""
    values = np.asarray(values, np.int64)
    return values // 7000, values % 7000 // 100, values % 100


def write_layers(folder, volume, **options):
    folder.mkdir(parents=True)
    for z, layer in enumerate(volume):
        tifffile.imwrite(folder / f"{z:02d}.tif", layer, metadata=None, **options)


def ink(shape=SHAPE):
    label = np.zeros(shape[1:], bool)
    label[10:20, 5:30] = True
    label[5:35, 50:55] = True
    return label


def mask(shape=SHAPE):
    y, x = np.indices(shape[1:])
    return (y - 20) ** 2 / 18**2 + (x - 30) ** 2 / 28**2 < 1


def write_fragment(folder, volume=None, labels=None, is_255=True, **options):
    """A fragment as the challenge has it; returns its folder."""
    volume = places() if volume is None else volume
    write_layers(folder / "surface_volume", volume, **options)
    top = 255 if is_255 else 1
    for name, plane in (("inklabels", labels), ("mask", mask(volume.shape))):
        plane = ink(volume.shape) if plane is None else plane
        Image.fromarray((plane * top).astype(np.uint8)).save(folder / f"{name}.png")
    return folder


class Quiet:
    """Takes what a conversion tells."""

    def begin(self, phase, total, done):
        pass

    def advance(self, num_bytes):
        pass


def write_layout(root, layout):
    """The volume of `places` in some layout; returns what more the block needs."""
    if layout in ("fragment", "fragment, labels 1", "packed", "segment"):
        more = {"compression": "lzw", "rowsperstrip": 7} if layout == "packed" else {}
        folder = write_fragment(root / "1", is_255=layout != "fragment, labels 1", **more)
        if layout == "segment":
            (folder / "surface_volume").rename(folder / "layers")
            (folder / "mask.png").rename(folder / "20230101_mask.png")
        return {}
    if layout == "zarr":
        source = write_fragment(root.parent / "source")
        convert((source,), "zarr", root / "v.zarr", {"chunk": 8, "shard": 16}, Quiet())
        return {}
    if layout == "volpkg":
        write_layers(root / "s.volpkg" / "volumes" / "2023", places())
        write_layers(root / "s.volpkg" / "volumes" / "2024", places()[:, ::-1])
        return {"array": "2023"}
    bare = {"slices": _slices, "npy": _npy, "npz": _npz, "tiff": _tiff, "ome": _ome}
    bare[layout.removeprefix("packed ")](root, layout)
    return {}


def _slices(root, layout):
    write_layers(root / "slices", places())


def _npy(root, layout):
    np.save(root / "v.npy", places())


def _npz(root, layout):
    save = np.savez_compressed if layout.startswith("packed") else np.savez
    save(root / "v.npz", volume=places(), other=np.arange(3))


def _tiff(root, layout):
    tifffile.imwrite(root / "v.tif", places(), photometric="minisblack", metadata=None)


def _ome(root, layout):
    group = zarr.open_group(str(root / "v.zarr"), mode="w", zarr_format=2)
    for level, step in (("0", 1), ("1", 2)):
        own = places()[::step, ::step, ::step]
        array = group.create_array(level, shape=own.shape, dtype="uint16", chunks=(4, 16, 16))
        array[...] = own
    levels = [{"path": "0"}, {"path": "1"}]
    group.attrs["multiscales"] = [{"version": "0.4", "datasets": levels}]


def scroll(root, **values):
    """A block as a job file gives it."""
    page = {
        "kind": "scroll",
        "root": str(root),
        "volumes": ["*"],
        "sample": "cube",
        "window": [3, 8, 8],
        "samples_per_epoch": 64,
        "normalization": "none",
        "augment": {"flip": False, "rotate": False},
        **values,
    }
    return Scroll.model_validate_json(json.dumps(page), strict=True)


def datasets(block, seed=0):
    """Training and validation samples."""
    index = build_scroll_index(block, Path("/"))
    return tuple(ScrollDataset(block, index, split, seed) for split in ("train", "validation"))
