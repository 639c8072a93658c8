"""Folders of scroll data: fragments and segments with their labels, volpkg packages.

Layouts as in the Vesuvius Challenge: `surface_volume/00.tif ... 64.tif` or `layers/00.tif ...`
beside inklabels.png, mask.png and ir.png; `NAME.volpkg/volumes/<id>/00000.tif ...` with meta.json.
"""

from __future__ import annotations

import json
from pathlib import Path

from hpctrain.errors import DataError
from hpctrain.formats.array import Array, Attributes, Source
from hpctrain.formats.picture import open_picture
from hpctrain.formats.stack import open_stack
from hpctrain.index.scroll.folders import layer_files, picture_of

PICTURES = ("inklabels", "mask", "ir")
META_KEYS = ("voxelsize", "name", "uuid", "type", "min", "max")


def open_volpkg(path: Path) -> Source:
    """All volumes of a package; the first is taken by default.

    Raises:
        DataError: no volume, or one whose files are not what its meta.json says.
    """
    folders = sorted(p for p in (path / "volumes").iterdir() if p.is_dir())
    if not folders:
        raise DataError(f"{path}: volumes/ is empty; fetch a volume into it")
    arrays = [_volume(folder) for folder in folders]
    files = [f for folder in folders for f in _files(folder)]
    top = _json(path / "config.json") if (path / "config.json").is_file() else {}
    default = (arrays[0].name,)
    return Source(path, "volpkg package", tuple(arrays), tuple(files), top, default)


def _volume(folder: Path) -> Array:
    meta = _json(folder / "meta.json") if (folder / "meta.json").is_file() else {}
    kept = {key: meta[key] for key in META_KEYS if key in meta}
    array = open_stack(folder.name, layer_files(folder), kept)
    for key, size in zip(("slices", "height", "width"), array.shape, strict=True):
        if meta.get(key, size) != size:
            raise DataError(
                f"{folder}: {key} is {meta[key]} in meta.json, but {size} in the files; "
                "fetch what is missing"
            )
    return array


def _files(folder: Path) -> list[Path]:
    meta = folder / "meta.json"
    return [*layer_files(folder), *([meta] if meta.is_file() else [])]


def _json(path: Path) -> Attributes:
    try:
        page = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise DataError(f"{path}: is no JSON page ({e}); fetch or write it again") from e
    if not isinstance(page, dict):
        raise DataError(f"{path}: is no table of names and values; fetch or write it again")
    return {k: v for k, v in page.items() if isinstance(v, str | int | float)}


def open_layers(path: Path, layers: Path) -> Source:
    """A volume from a folder of layers, with the pictures that belong to it.

    Args:
        path: fragment or segment; pictures are looked for here.
        layers: where the layers lie.

    Raises:
        DataError: see `open_stack`, or a picture of another size than the layers.
    """
    files = layer_files(layers)
    meta = _json(path / "meta.json") if (path / "meta.json").is_file() else {}
    volume = open_stack("volume", files, meta)
    arrays, used = [volume], list(files)
    for name in PICTURES:
        found = picture_of(path, name)
        if found is not None:
            arrays.append(_like(volume, open_picture(name, found)))
            used.append(found)
    return Source(path, "TIFF layers", tuple(arrays), tuple(used), meta)


def _like(volume: Array, picture: Array) -> Array:
    if picture.shape == volume.shape[1:]:
        return picture
    turned = ", which is transposed" if picture.shape[::-1] == volume.shape[1:] else ""
    raise DataError(
        f"{picture.attributes['file']}: {picture.shape[0]} x {picture.shape[1]} pixels (y, x)"
        f"{turned}, but the layers have {volume.shape[1]} x {volume.shape[2]}; "
        "give pictures of the layers' size"
    )
