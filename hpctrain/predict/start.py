"""Where `hpctrain predict` begins: what a run's network makes decides who goes on."""

from __future__ import annotations

from pathlib import Path

from hpctrain.config.ink import Ink
from hpctrain.config.load import read_resolved
from hpctrain.errors import ConfigError
from hpctrain.predict.options import Options

_SHOWN = 12
"""Outputs that are told one by one."""
_OF_SEGMENTS = {
    "stride": "--stride",
    "border": "--border",
    "depth_offsets": "--depth-offsets",
    "flips": "--flips",
}
_OF_FIELDS = {
    "coarsen": "--coarsen",
    "members": "--members",
    "seed": "--seed",
    "has_noise": "--no-noise",
    "style": "--style",
}
_SEGMENT_FORMATS = ("png", "tiff", "zarr")


def predict(run_dir: Path, options: Options) -> list[str] | None:
    """Predict; returns lines that tell of it on rank 0, None on others.

    Args:
        run_dir: the run directory; nothing in it is changed.
        options: what is asked for.

    Raises:
        ConfigError: options, files or a checkpoint that do not fit, or a task that predicts
            nothing.
        DataError: files that cannot be read.
    """
    if _is_ink(run_dir):
        _check(options, _OF_FIELDS, "predictions of task ink have no use for it")
        if options.overlap is not None:
            raise ConfigError("--overlap: windows over a segment overlap by --stride; give that")
        if options.kind not in (None, *_SEGMENT_FORMATS):
            raise ConfigError(
                f"--format: found {options.kind!r}; a picture of ink can be "
                f"{', '.join(_SEGMENT_FORMATS)}"
            )
        from hpctrain.predict.segment.command import predict as predict_segments

        return predict_segments(run_dir, options)
    _check(options, _OF_SEGMENTS, "it is for runs of task ink")
    if options.kind in ("png", "tiff"):
        raise ConfigError(f"--format: {options.kind} is for runs of task ink; fields have others")
    return _predict_fields(run_dir, options)


def _is_ink(run_dir: Path) -> bool:
    page = run_dir / "config.yaml"
    # what else is wrong with the folder is told by those who go on
    return page.is_file() and isinstance(read_resolved(page).train, Ink)


def _check(options: Options, names: dict[str, str], why: str) -> None:
    """Refuse options that would have no effect."""
    usual = Options(out=options.out)
    for name, option in names.items():
        given, own = getattr(options, name), getattr(usual, name)
        if given != own and (given or own):  # no numbers, as a list or a tuple
            raise ConfigError(f"{option}: {why}; leave it out")


def _predict_fields(run_dir: Path, options: Options) -> list[str] | None:
    from hpctrain.predict.command import predict as predict_fields

    done = predict_fields(run_dir, options)
    if done is None:
        return None
    cells = " x ".join(map(str, done.shape))
    lines = [
        f"wrote {path}: {', '.join(done.names)} of {cells} cells" for path in done.paths[:_SHOWN]
    ]
    if len(done.paths) > _SHOWN:
        lines.append(f"and {len(done.paths) - _SHOWN} more in {done.paths[0].parent}")
    lines.append(
        f"{done.voxels_per_s:.3g} voxels/s, {done.seconds:.1f} s, "
        f"{done.peak_bytes / 1e6:.0f} MB at most"
    )
    return lines
