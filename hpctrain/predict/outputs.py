"""Files that predictions go to: their names, what they say of themselves, and how they appear."""

from __future__ import annotations

import glob
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpctrain.analysis.products import is_foreign_folder, publish, remove, sync
from hpctrain.config.job import Job
from hpctrain.data.inputs import FieldInputs
from hpctrain.errors import ConfigError
from hpctrain.formats.field_writer import FORMATS, FieldSheet, FieldWriter, field_writer
from hpctrain.index.fields.layout import AXES
from hpctrain.log import logger
from hpctrain.predict.choose import Tiling
from hpctrain.predict.options import Options
from hpctrain.predict.tiles import Block
from hpctrain.predict.trained import Trained
from hpctrain.provenance import Stamp, attributes, embed, seal
from hpctrain.provenance.page import PAGE_KEY
from hpctrain.provenance.sidecar import sidecar_path
from hpctrain.provenance.stamp import NO_DIGEST

_MARK = ".failed"
_DEGREES = {"lat": "degrees_north", "lon": "degrees_east"}


def name_outputs(options: Options, inputs: FieldInputs) -> list[list[Path]]:
    """Where the members of each sample go.

    Raises:
        ConfigError: several outputs for one file, an unknown format, or files that are there.
    """
    suffixes = {suffix: name for name, suffix in FORMATS.items()}
    out, count = options.out, len(inputs) * options.members
    if out.suffix.lower() in suffixes and not (out.is_dir() and out.suffix != ".zarr"):
        if options.kind and FORMATS[options.kind] != out.suffix.lower():
            raise ConfigError(f"--format: {options.kind}, but --out is {out}; leave one out")
        if count > 1:
            raise ConfigError(
                f"--out: {out} is one file, and there are {count} predictions; give a folder"
            )
        found = [[out]]
    else:
        if out.suffix and not out.is_dir() and options.kind is None:
            known = ", ".join(suffixes)
            raise ConfigError(
                f"--out: {out} has a suffix that is not known; choose {known}, or give a folder "
                "and --format"
            )
        found = _in_folder(options, inputs, out)
    _check(found, inputs, is_overwritten=options.overwrite)
    return found


def _in_folder(options: Options, inputs: FieldInputs, out: Path) -> list[list[Path]]:
    stems = [inputs.paths(i)[0].stem for i in range(len(inputs))]
    if len(set(stems)) < len(stems):
        stems = [f"{inputs.paths(i)[0].parent.name}-{stem}" for i, stem in enumerate(stems)]
    if len(set(stems)) < len(stems):
        stems = [f"{i:04d}-{stem}" for i, stem in enumerate(stems)]
    is_npy = inputs.paths(0)[0].suffix == ".npy"
    suffix = FORMATS[options.kind or ("npy" if is_npy else "netcdf")]
    members: Sequence[str] = [""]
    if options.members > 1:
        members = [f"-member-{m}" for m in range(options.members)]
    return [[out / f"{stem}{member}{suffix}" for member in members] for stem in stems]


def _check(found: Sequence[Sequence[Path]], inputs: FieldInputs, *, is_overwritten: bool) -> None:
    own = {path.resolve() for i in range(len(inputs)) for path in inputs.paths(i)}
    for path in (path for paths in found for path in paths):
        if path.resolve() in own:
            raise ConfigError(f"--out: {path} is an input itself; give another place")
        if is_foreign_folder(path):
            raise ConfigError(f"--out: {path} is a folder of something else; give another place")
        if path.exists() and not is_overwritten:
            raise ConfigError(f"--out: {path} is there already; give another place, or --overwrite")


def sheet_of(
    job: Job,
    trained: Trained,
    inputs: FieldInputs,
    tiling: Tiling,
    units: Mapping[str, str],
    notes: Mapping[str, str],
) -> FieldSheet:
    """What all outputs of a prediction say of themselves, but for their stamps."""
    dims, names = inputs.dims, trained.scales.names
    known = zip(dims, inputs.coordinates(), strict=True)
    coordinates = {name: x for name, x in known if x is not None}
    usual = {
        name: _DEGREES[axis]
        for name, axis in zip(dims, AXES[job.fields.geometry], strict=True)
        if axis in _DEGREES and name in coordinates
    }
    own = {**inputs.units(), **units}
    a, b, c = (axis.stride * axis.factor for axis in tiling.plan.axes)
    return FieldSheet(
        names,
        tiling.plan.shape,
        dims,
        tuple(own.get(name, "") for name in names),
        coordinates,
        {**usual, **inputs.coordinate_units()},
        {"title": f"prediction of {job.name}", **notes},
        tile=(a, b, c),
    )


class Output:
    """One prediction on its way into its file."""

    def __init__(self, path: Path, sheet: FieldSheet, stamp: Stamp, tag: str) -> None:
        """Name it.

        Args:
            path: where it will be.
            sheet: what it says of itself.
            stamp: where it is from.
            tag: the same on all ranks and of no other prediction under way.
        """
        self.path = path
        self.part = path.with_name(f".{path.stem}.{tag}.part{path.suffix}")
        self._is_sealed = path.suffix.lower() == ".nc"
        stamp = replace(stamp, content_digest=NO_DIGEST if self._is_sealed else "")
        self._stamp = stamp
        own = {**sheet.attributes, **attributes(stamp)}
        if path.suffix.lower() == ".npy":
            sheet = replace(sheet, pages={PAGE_KEY: stamp.as_dict()})
        else:
            sheet = replace(sheet, attributes=own)
        self._writer: FieldWriter = field_writer(self.part, sheet)

    def create(self) -> None:
        """Make the scratch file; one rank."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._clear_left()
        _mark_of(self.part).unlink(missing_ok=True)  # of a process that had this one's number
        self._writer.create()

    def write(self, block: Block, values: Any) -> None:
        """Write a block; any rank."""
        self._writer.write(block.spans, values)

    def sync(self) -> None:
        """Let what this rank wrote reach the disk."""
        self._writer.sync()

    def publish(self) -> None:
        """Give the file its name, now that all ranks are done; one rank."""
        if self._is_sealed:
            seal(self.part)
        elif self.part.suffix.lower() == ".npy":
            embed(self.part, self._stamp)
        if self.part.is_file():
            sync(self.part)
        publish(self.part, self.path)

    def discard(self) -> None:
        """Take the scratch file away; one rank."""
        _discard(self.part)

    def mark_failed(self) -> None:
        """Let the other ranks know that this output will not be finished."""
        with suppress(OSError):  # then they know when all have done their part
            _mark_of(self.part).touch()

    def is_marked_failed(self) -> bool:
        """Whether a rank has said so."""
        return _mark_of(self.part).exists()

    def _clear_left(self) -> None:
        """Take away what a killed prediction left of this output."""
        begin, end = f".{self.path.stem}.", f".part{self.path.suffix}"
        for suffix in (end, f"{end}{_MARK}"):
            for left in sorted(
                self.path.parent.glob(f"{glob.escape(begin)}*{glob.escape(suffix)}")
            ):
                if _is_gone(left.name[len(begin) : -len(suffix)]):
                    _discard(left)
                    logger.info("%s: left by a prediction that was killed, taken away", left)


def _discard(part: Path) -> None:
    remove(part)
    sidecar_path(part).unlink(missing_ok=True)
    _mark_of(part).unlink(missing_ok=True)


def _mark_of(part: Path) -> Path:
    return part.with_name(f"{part.name}{_MARK}")


def tag_here() -> str:
    """Tells this prediction's scratch files from those of others."""
    return f"{socket.gethostname()}-{os.getpid()}"


def _is_gone(tag: str) -> bool:
    """Whether a tag is of a process of this host that has ended; of other hosts nobody knows."""
    host, _, number = tag.rpartition("-")
    if host != socket.gethostname() or not number.isdecimal():
        return False
    return not Path(f"/proc/{number}").exists()
