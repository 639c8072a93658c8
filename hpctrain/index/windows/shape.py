"""How many cells a volume has, from the headers of its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hpctrain.errors import DataError
from hpctrain.index.files.scan import files_below
from hpctrain.index.quick.content import Content
from hpctrain.index.quick.look import look
from hpctrain.index.table import Index, Row

_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_MOST_CHANNELS = 4


def volume_shape(index: Index, row: Row, modality: str) -> tuple[int, int, int]:
    """Cells of a sample along z, y, x: layers of a folder or of several files, or axes of a file.

    Args:
        index: where the files are.
        row: of the sample.
        modality: which of its parts is the volume.

    Raises:
        DataError: a file cannot be read, is not the one that was indexed, or is no volume.
    """
    paths = row.paths(modality)
    names = [name for path in paths for name in _members(index, modality, path)]
    is_stack = len(names) > 1 or any(path.endswith("/") for path in paths)
    where = f"{row.id}: {modality}"
    if not names:
        raise DataError(f"{where}: {'|'.join(paths) or 'no file'}: no file of it is left")
    _check_size(index, row, modality, names)
    shapes = {_shape(index.root / name) for name in names}
    if len(shapes) > 1:
        texts = " and ".join("x".join(map(str, shape)) for shape in sorted(shapes)[:2])
        raise DataError(f"{where}: its layers have {texts} cells; all must be alike")
    shape = shapes.pop()
    if is_stack and len(shape) == 2:
        return len(names), *shape
    if not is_stack and len(shape) in (2, 3):
        z, y, x = (1, 1, *shape)[-3:]
        return z, y, x
    raise DataError(
        f"{where}: {index.root / names[0]}: has {'x'.join(map(str, shape)) or 'no shape'} in a "
        "header that is read here; allowed: layers or pages of y x, or an array of z x y x; name "
        "another modality with --of"
    )


def _members(index: Index, modality: str, path: str) -> Sequence[str]:
    if not path.endswith("/"):
        return (path,)
    rule = index.facts.get("rule", {}).get("modalities", {}).get(modality, {})
    if not (index.root / path).is_dir():
        return ()
    return files_below(index.root, path, rule.get("members", "*"), modality)


def _check_size(index: Index, row: Row, modality: str, names: Sequence[str]) -> None:
    """Shapes are of the files as they are now, and digests of those that were indexed."""
    try:
        now = sum(os.stat(index.root / name).st_size for name in names)
    except OSError as e:
        raise DataError(f"{row.id}: {e.filename}: cannot be read: {e.strerror}") from e
    known = sum(int(text) for text in row[f"{modality}_size"].split("|"))
    if now != known:
        raise DataError(
            f"{row.id}: {modality}: {now} bytes, {known} when indexed; build the index again with: "
            "hpctrain index build"
        )


def _shape(path: Path) -> tuple[int, ...]:
    """Axes of a file without the channels of a picture."""
    try:
        number = os.open(path, os.O_RDONLY)
        try:
            found = look(str(path), Content(number, os.fstat(number).st_size, None))
        finally:
            os.close(number)
    except OSError as e:
        raise DataError(f"{path}: cannot be read: {e.strerror}") from e
    shape = tuple(int(text) for text in found.shape.split("x") if text)
    is_picture = path.suffix.lower() in _PICTURES
    if is_picture and len(shape) > 2 and shape[-1] <= _MOST_CHANNELS:
        return shape[:-1]
    return shape
