"""Build the index of field files: expand patterns, pair, split, check headers, fingerprint."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpctrain.errors import DataError
from hpctrain.index.digests import digests
from hpctrain.index.fields.chosen import rows_of_index
from hpctrain.index.fields.layout import Layout
from hpctrain.index.fields.plan import Group, group_of, plan_fields, without_offsets
from hpctrain.index.fields.split import split_rows
from hpctrain.index.headers.arrays import FileHeader
from hpctrain.index.headers.file import read_header
from hpctrain.index.headers.netcdf3 import read_values
from hpctrain.index.leaks import check_copies
from hpctrain.index.read import verify_index
from hpctrain.index.table import SEPARATOR, Index, Row, tool_facts

if TYPE_CHECKING:
    from hpctrain.config.data import Fields

SHOWN = 5
ReadHdf5 = Callable[[FileHeader], FileHeader | None]


@dataclass(frozen=True)
class _Headers:
    """Headers of all used files; those of HDF5 are empty until they are asked for."""

    known: dict[Path, FileHeader]
    read_hdf5: ReadHdf5 | None

    def filled(self, headers: list[FileHeader]) -> list[FileHeader] | None:
        """With arrays and coordinates; None where HDF5 cannot be read here."""
        found = []
        for header in headers:
            own: FileHeader | None = header
            if header.kind == "hdf5":
                own = self.read_hdf5(header) if self.read_hdf5 else None
            if own is None:
                return None
            found.append(own)
        return found


def build_fields_index(
    fields: Fields,
    upscale_factor: int,
    cwd: Path,
    progress: Callable[[str], None] | None = None,
    read_hdf5: ReadHdf5 | None = None,
) -> Index:
    """Scan, pair, split and check the files of a `data:` block.

    Args:
        fields: the block.
        upscale_factor: target cells a low-resolution cell along each axis.
        cwd: folder that a relative `data.root` starts from.
        progress: called with a line before many bytes are read.
        read_hdf5: fills the header of an HDF5 file, or returns None where h5py is not installed.

    Returns:
        The index; the same files give the same bytes.

    Raises:
        DataError: anything that would stop the training or make it learn from wrong pairs.
    """
    if fields.geometry == "sphere" and fields.augment.random_shift:
        raise DataError(
            "data.augment.random_shift: is for a box and has no effect on a sphere; leave it out "
            "(roll_longitude moves slabs in longitude)"
        )
    root = root_of(fields, cwd)
    if fields.index is not None:
        return _of_index(fields, upscale_factor, cwd, root, read_hdf5)
    rows = split_rows(fields, root)
    used = [row for row in rows if row.status == "ok"]
    headers = _headers(root, used)
    _check_groups(fields, upscale_factor, root, used, _Headers(headers, read_hdf5))
    stamps = digests(list(headers), progress)
    rows = [_stamped(row, root, stamps) for row in rows]
    check_copies(rows, "target")
    return Index(root, tuple(rows), {"rule": _rule(fields, upscale_factor), **tool_facts()})


def _of_index(
    fields: Fields, upscale_factor: int, cwd: Path, root: Path, read_hdf5: ReadHdf5 | None
) -> Index:
    """The rows of an index that was built before; nothing is read but headers and what changed."""
    rows = rows_of_index(fields, cwd)
    used = [row for row in rows if row.status == "ok" and row.split in ("train", "validation")]
    headers = _headers(root, used)
    _check_groups(fields, upscale_factor, root, used, _Headers(headers, read_hdf5))
    facts = {"kind": fields.kind, "index": fields.index, "upscale_factor": upscale_factor}
    index = Index(root, tuple(rows), {"rule": facts, **tool_facts()}, rows[0].columns)
    verify_index(index)
    return index


def root_of(fields: Any, cwd: Path) -> Path:
    """The folder of the data.

    Args:
        fields: the `data:` block.
        cwd: folder that a relative `data.root` starts from.

    Raises:
        DataError: it is none.
    """
    root = (cwd / Path(fields.root).expanduser()).resolve()
    if not root.is_dir():
        found = "is no folder" if root.exists() else "does not exist"
        raise DataError(
            f"data.root: {root} {found}; give the folder of the data, relative to {cwd.resolve()}"
        )
    return root


def _headers(root: Path, rows: list[Row]) -> dict[Path, FileHeader]:
    """Headers of all used files; all bad files are named at once."""

    def read(path: Path) -> FileHeader | DataError:
        try:
            return read_header(path)
        except DataError as e:
            return e

    paths = [root / name for row in rows for name in (*row.targets, *row.inputs)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(read, paths))
    bad = [str(r) for r in results if isinstance(r, DataError)]
    if bad:
        more = f"\nand {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        raise DataError("\n".join(bad[:SHOWN]) + more)
    return {p: r for p, r in zip(paths, results, strict=True) if isinstance(r, FileHeader)}


def _check_groups(
    fields: Fields, factor: int, root: Path, rows: list[Row], headers: _Headers
) -> None:
    """Compare all files with the first, and its grid with what is asked for.

    Of HDF5 files the first is looked at where h5py is installed; all are compared by the trainer.
    """
    target = _check_alike(fields, root, [r.targets for r in rows], headers, False)
    coarse, has_inputs = None, bool(rows[0].inputs)
    if has_inputs:
        coarse = _check_alike(fields, root, [r.inputs for r in rows], headers, True)
    if target is None or (has_inputs and coarse is None):
        return
    longitudes = [_longitudes(g, fields.geometry) if g else () for g in (target, coarse)]
    plan_fields(fields, factor, target, longitudes[0], coarse, longitudes[1])


def _check_alike(
    fields: Fields,
    root: Path,
    groups: list[tuple[str, ...]],
    headers: _Headers,
    is_input: bool,
) -> Group | None:
    first: Group | None = None
    for names in groups:
        own = [headers.known[root / name] for name in names]
        if any(h.kind == "hdf5" for h in own):
            filled = headers.filled(own) if first is None else None
            return group_of(filled, fields, is_input) if filled else None
        group = group_of(own, fields, is_input)
        first = first or group
        for header, layout, expected, reference in zip(
            own, group.layouts, first.layouts, first.headers, strict=True
        ):
            if without_offsets(layout) != without_offsets(expected):
                raise DataError(
                    f"{header.path}: {_summary(layout)}, but {reference.path.name} "
                    f"has {_summary(expected)}; all files of a pattern must be alike"
                )
    return first


def _longitudes(group: Group, geometry: str) -> tuple[float, ...]:
    header, layout = group.headers[0], group.layouts[0]
    if geometry == "sphere" and header.coordinates:
        return header.coordinates.get(layout.dims[2], ())
    array = header.array(layout.dims[2]) if geometry == "sphere" else None
    if array is None or len(array.shape) != 1 or header.kind != "netcdf3":
        return ()
    return read_values(header.path, array)


def _summary(layout: Layout) -> str:
    kinds = sorted({a.dtype for a in layout.arrays})
    return f"{layout.num_channels} x {layout.arrays[0].shape} of {', '.join(kinds)}"


def _stamped(row: Row, root: Path, stamps: dict[Path, str]) -> Row:
    """The row with sizes, digests (of used files) and times of change in nanoseconds."""
    values: dict[str, str] = {}
    for side, names in (("target", row.targets), ("input", row.inputs)):
        status = [(root / name).stat() for name in names]
        values[f"{side}_size"] = SEPARATOR.join(str(s.st_size) for s in status)
        values[f"{side}_mtime"] = SEPARATOR.join(str(s.st_mtime_ns) for s in status)
        values[f"{side}_sha256"] = SEPARATOR.join(stamps.get(root / n, "") for n in names)
    return row.replace(**values)


def _rule(fields: Fields, upscale_factor: int) -> dict[str, Any]:
    names = ("targets", "inputs", "validation_targets", "validation_inputs", "validation_steps")
    rule = fields.model_dump(mode="json", include={*names, "steps", "variables"})
    return {"kind": fields.kind, **rule, "upscale_factor": upscale_factor}
