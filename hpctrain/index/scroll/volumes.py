"""Which volumes a `data:` block of scrolls names, and which files each consists of."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from hpctrain.errors import DataError
from hpctrain.index.match import WILDCARD, natural
from hpctrain.index.scroll.folders import (
    LAYERS,
    SUFFIXES,
    is_volpkg,
    is_zarr,
    layer_files,
    layers_of,
    picture_of,
)
from hpctrain.index.scroll.headers import (
    Cells,
    npy_cells,
    npz_cells,
    png_cells,
    tiff_cells,
    zarr_cells,
)
from hpctrain.index.scroll.region import Triple

if TYPE_CHECKING:
    from hpctrain.config.scroll_data import Scroll

KNOWN = (
    "folders of TIFF layers, fragments and segments, .volpkg packages, Zarr groups, TIFF, npy and "
    "npz files"
)
PICTURES = ("labels", "mask", "infrared")
"""Keys of the block that name a picture of each volume, and columns of the index."""


@dataclass(frozen=True)
class Volume:
    """One volume; paths are relative to the root."""

    source: str
    """As a pattern has found it."""
    layout: str
    """layers (a file each), file, or zarr."""
    array: str
    """Its name in a group or npz file; else empty."""
    files: tuple[str, ...]
    """Of layers one each, in order of z."""
    shape: Triple
    dtype: str
    pictures: dict[str, str]
    """Files of PICTURES; those within a Zarr group are not among them."""
    inside: tuple[str, ...] = ()
    """Which of PICTURES are arrays of its Zarr group."""

    @property
    def has_labels(self) -> bool:
        """Whether ink was drawn on it."""
        return "labels" in self.pictures or "labels" in self.inside


def find_sources(root: Path, patterns: list[str], key: str) -> list[str]:
    """Paths that patterns find, in natural order, each once.

    Raises:
        DataError: a pattern finds nothing, or is an absolute path that leads elsewhere.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        own = _match(root, _below(root, pattern, key))
        if not own:
            raise DataError(
                f"data.{key}: no file or folder of {root} fits {pattern!r}; mend the pattern"
            )
        found.update(dict.fromkeys(own))
    return list(found)


def _below(root: Path, pattern: str, key: str) -> str:
    """A pattern as it is below the root, which has no links; an absolute one may go over some."""
    if ".." in Path(pattern).parts:
        raise DataError(
            f"data.{key}: {pattern!r} has '..', which leads elsewhere behind links and in a "
            "container; give the path below data.root"
        )
    if not Path(pattern).is_absolute():
        return pattern
    for path in (Path(pattern), Path(pattern).resolve()):
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    raise DataError(
        f"data.{key}: {pattern!r} is not below data.root, {root}; give a path relative to it, "
        "or a data.root that all volumes are below"
    )


def _match(root: Path, pattern: str) -> list[str]:
    if not WILDCARD.search(pattern):
        path = root / pattern
        return [Path(pattern).as_posix()] if pattern and path.exists() else []
    try:
        paths = [p.relative_to(root).as_posix() for p in root.glob(pattern)]
    except (ValueError, NotImplementedError, OSError):
        return []  # a malformed pattern
    return sorted((p for p in paths if Path(p).name[0] != "."), key=lambda p: natural((p,)))


def find_volume(root: Path, source: str, scroll: Scroll) -> Volume:
    """What a path holds.

    Args:
        root: folder of the data.
        source: path of the volume below it.
        scroll: the `data:` block.

    Raises:
        DataError: of no known layout, damaged, or a picture of another size.
    """
    path = root / source
    if path.is_dir() and is_zarr(path):
        volume = _zarr(root, source, scroll)
    elif path.is_dir():
        volume = _folder(root, source, scroll)
    else:
        volume = _file(root, source, scroll)
    for key, name in volume.pictures.items():
        _check_picture(root / name, volume, key)
    return volume


def _folder(root: Path, source: str, scroll: Scroll) -> Volume:
    path = root / source
    array = ""
    if is_volpkg(path):
        folders = {p.name: p for p in sorted((path / "volumes").iterdir()) if p.is_dir()}
        array = _chosen(path, list(folders), scroll.array)
        layers: Path | None = folders[array]
    else:
        layers = layers_of(path)
    if layers is None:
        raise DataError(f"{path}: is a folder of no known layout; give {KNOWN}")
    files = layer_files(layers)
    with ThreadPoolExecutor(8) as pool:  # network file systems answer slowly, but many at a time
        cells = list(pool.map(tiff_cells, files))
    if len(files) == 1:
        return _one_file(root, source, files[0], cells[0], scroll)
    for file, own in zip(files, cells, strict=True):
        if own != cells[0] or len(own.shape) != 2:
            raise DataError(
                f"{file}: {_by(own.shape)} of {own.dtype}, but {files[0].name} has "
                f"{_by(cells[0].shape)} of {cells[0].dtype}; all layers of a volume must be alike"
            )
    shape = (len(files), cells[0].shape[0], cells[0].shape[1])
    names = tuple(file.relative_to(root).as_posix() for file in files)
    beside = {} if array else _pictures(root, path, scroll)
    return Volume(source, "layers", array, names, shape, cells[0].dtype, beside)


def _file(root: Path, source: str, scroll: Scroll) -> Volume:
    path = root / source
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return _one_file(root, source, path, tiff_cells(path), scroll)
    if suffix == ".npy":
        return _one_file(root, source, path, npy_cells(path), scroll)
    if suffix == ".npz":
        arrays = npz_cells(path)
        volumes = [name for name, cells in arrays.items() if len(cells.shape) == 3]
        name = _chosen(path, volumes, scroll.array)
        return _one_file(root, source, path, arrays[name], scroll, name)
    raise DataError(f"{path}: is no volume; give {KNOWN}, or a pattern that leaves it out")


def _one_file(
    root: Path, source: str, path: Path, cells: Cells, scroll: Scroll, array: str = ""
) -> Volume:
    beside = _pictures(root, root / source, scroll)
    name = path.relative_to(root).as_posix()
    shape = _volume_shape(path, cells)
    return Volume(source, "file", array, (name,), shape, cells.dtype, beside)


def _zarr(root: Path, source: str, scroll: Scroll) -> Volume:
    path = root / source
    arrays, levels = zarr_cells(path)
    volumes = [name for name, cells in arrays.items() if len(cells.shape) == 3]
    first = [name for name in (*levels, "volume") if name in volumes]
    name = scroll.array or (first[0] if first else "") or _chosen(path, volumes, None)
    if name not in volumes:
        name = _chosen(path, volumes, name)
    wanted = {getattr(scroll, key) for key in PICTURES} | {name}
    own = [path] if "volume" in arrays and len(arrays) == 1 else [path / n for n in wanted if n]
    top = [p for p in path.iterdir() if p.is_file()]
    inside = [p for folder in own if folder.is_dir() for p in folder.rglob("*") if p.is_file()]
    files = tuple(sorted({p.relative_to(root).as_posix() for p in (*top, *inside)}))
    shape = _volume_shape(path, arrays[name])
    for key in PICTURES:
        picture = arrays.get(getattr(scroll, key) or "")
        if picture is not None and picture.shape != shape[1:]:
            raise _unlike(path / getattr(scroll, key), picture.shape, shape)
    beside = _pictures(root, path, scroll)
    own_pictures = tuple(key for key in PICTURES if getattr(scroll, key) in arrays)
    return Volume(source, "zarr", name, files, shape, arrays[name].dtype, beside, own_pictures)


def _chosen(path: Path, names: list[str], asked: str | None) -> str:
    """The array that is meant, where there may be several."""
    if asked is not None and asked in names:
        return asked
    if asked is None and len(names) == 1:
        return names[0]
    known = ", ".join(names) or "none"
    found = f"has no volume {asked!r}" if asked else f"has {len(names)} volumes"
    raise DataError(f"{path}: {found}; name one with data.array: it has {known}")


def _pictures(root: Path, path: Path, scroll: Scroll) -> dict[str, str]:
    folders = [path]
    if path.name in LAYERS and path != root:
        folders.append(path.parent)  # the layers of a fragment were named instead of the fragment
    found: dict[str, str] = {}
    for key, folder in product(PICTURES, folders):
        name = getattr(scroll, key)
        picture = picture_of(folder, name) if name and key not in found else None
        if picture is not None:
            found[key] = picture.relative_to(root).as_posix()
    return found


def _check_picture(path: Path, volume: Volume, key: str) -> None:
    cells = png_cells(path)
    if cells.shape != volume.shape[1:]:
        raise _unlike(path, cells.shape, volume.shape)


def _unlike(path: Path, found: tuple[int, ...], shape: Triple) -> DataError:
    turned = ", which is transposed" if found[::-1] == shape[1:] else ""
    return DataError(
        f"{path}: {_by(found)} pixels (y, x){turned}, but the layers have {_by(shape[1:])}; give "
        "pictures of the layers' size"
    )


def _volume_shape(path: Path, cells: Cells) -> Triple:
    if len(cells.shape) not in (2, 3):
        raise DataError(f"{path}: has {_by(cells.shape)} cells; give a volume of z x y x x")
    z, y, x = (1, *cells.shape)[-3:]
    return z, y, x


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
