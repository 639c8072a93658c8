"""Where the pictures of a segment go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpctrain.analysis.products import is_foreign_folder
from hpctrain.errors import ConfigError
from hpctrain.formats.plane_writer import PLANE_FORMATS
from hpctrain.predict.options import Options
from hpctrain.predict.segment.source import Found

_SUFFIXES = {".tiff": "tiff", **{suffix: name for name, suffix in PLANE_FORMATS.items()}}


@dataclass(frozen=True)
class Target:
    """Outputs of one segment.

    Attributes:
        planes: probabilities, one file a format.
        page: numbers about it; None: not wanted.
        figure: beside infrared and labels; None: not wanted.
        parts: bands while it is computed.
    """

    planes: tuple[Path, ...]
    page: Path | None
    figure: Path | None
    parts: Path

    @property
    def name(self) -> str:
        """What the outputs are called, without a suffix; no other segment's in a prediction."""
        return self.planes[0].stem

    @property
    def paths(self) -> list[Path]:
        """All outputs."""
        return [*self.planes, *(p for p in (self.page, self.figure) if p is not None)]

    def scratch(self, path: Path) -> Path:
        """Where an output is written; no other prediction's, as `parts` is locked."""
        return path.with_name(f"{self.parts.name}-{path.name}")

    def check_free(self) -> None:
        """Refuse to replace what is there.

        Raises:
            ConfigError: an output is there.
        """
        for path in self.paths:
            if path.exists():
                raise ConfigError(
                    f"--out: {path} is there already; give another place, or --overwrite"
                )

    def check_apart(self, inputs: Iterable[Path]) -> None:
        """Refuse to write over, or into, what is read.

        Args:
            inputs: files and folders.

        Raises:
            ConfigError: an output is one of them, or within one.
        """
        read = {path.resolve() for path in inputs}
        for path in self.paths:
            own = path.resolve()
            if own in read:
                raise ConfigError(f"--out: {path} is an input itself; give another place")
            for folder in read.intersection(own.parents):
                raise ConfigError(
                    f"--out: {path} is within the segment {folder}, which is only read; give "
                    "another place"
                )


def name_targets(options: Options, found: Sequence[Found]) -> list[Target]:
    """Where each segment goes.

    Raises:
        ConfigError: several segments for one file, an unknown suffix, or files that are there.
    """
    out, suffix = options.out, options.out.suffix.lower()
    if suffix in _SUFFIXES and not (out.is_dir() and suffix != ".zarr"):
        if options.kind not in (None, _SUFFIXES[suffix]):
            raise ConfigError(f"--format: {options.kind}, but --out is {out}; leave one out")
        if len(found) > 1:
            raise ConfigError(
                f"--out: {out} is one file, and there are {len(found)} segments; give a folder"
            )
        targets = [Target((out,), None, None, _parts(out))]
    else:
        if suffix and not out.is_dir() and options.kind is None:
            known = ", ".join(_SUFFIXES)
            raise ConfigError(
                f"--out: {out} has a suffix that is not known; choose {known}, or give a folder "
                "and --format"
            )
        targets = [_in_folder(options, name) for name in _names(found)]
    for target in targets:
        _check(target, found, is_overwritten=options.overwrite)
    return targets


def _in_folder(options: Options, name: str) -> Target:
    kinds = [options.kind] if options.kind else list(PLANE_FORMATS)
    planes = tuple(options.out / f"{name}{PLANE_FORMATS[kind]}" for kind in kinds)
    page, figure = options.out / f"{name}.json", options.out / f"{name}-figure.png"
    return Target(planes, page, figure, _parts(options.out / name))


def _parts(path: Path) -> Path:
    return path.with_name(f".{path.name}.parts")


def _names(found: Sequence[Found]) -> list[str]:
    names = [segment.name for segment in found]
    if len(set(names)) < len(names):
        names = [f"{segment.path.parent.name}-{segment.name}" for segment in found]
    if len(set(names)) < len(names):
        names = [f"{i:04d}-{name}" for i, name in enumerate(names)]
    return names


def _check(target: Target, found: Sequence[Found], *, is_overwritten: bool) -> None:
    # an interrupted prediction may have given some of its outputs their names
    is_resumed = (target.parts / "plan.json").is_file()
    target.check_apart(segment.path for segment in found)
    for path in target.paths:
        if is_foreign_folder(path):
            raise ConfigError(f"--out: {path} is a folder of something else; give another place")
    if not (is_overwritten or is_resumed):
        target.check_free()
