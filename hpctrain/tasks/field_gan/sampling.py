"""Fields from a trained generator, as many as are asked for, in a file."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpctrain.analysis.products import publish, remove
from hpctrain.config.field_gan import FieldGan
from hpctrain.config.load import read_resolved
from hpctrain.data import Scales
from hpctrain.errors import CheckpointError, ConfigError
from hpctrain.provenance import embed, stamp_run
from hpctrain.provenance.sidecar import sidecar_path
from hpctrain.tasks.field_gan.networks import make_generator
from hpctrain.tasks.field_gan.rescaling import highest_values, physical
from hpctrain.train.checkpoint import load
from hpctrain.train.ema import averages_of, put_averages
from hpctrain.train.stamps import checkpoint_facts

Array = NDArray[np.float32]

_MOST_AT_ONCE = 64
_BUDGET_BYTES = 1 << 30
"""Memory that the fields of one pass and the layers' outputs may take."""
_STREAM = 5
"""Key of the random stream of asked-for samples, apart from those of a training."""


def make_fields(
    run: Path,
    out: Path,
    count: int,
    style: Sequence[float] = (),
    seed: int = 0,
    checkpoint: str | None = None,
) -> str:
    """Write physical fields as npy: (N, C, H, W) of slices, (N, C, D, H, W) of cubes.

    The stamp is in a page beside it, NAME.provenance.json.

    Field i follows from seed and i alone, to rounding, which may differ with the number of fields.

    Args:
        run: run directory of a `field_gan`.
        out: file to write; replaced as a whole.
        count: number of fields.
        style: numbers that the fields are conditioned on, as `data.styles` gives them.
        seed: of the noise.
        checkpoint: file in checkpoints/; None: best.pt, or the newest where there is none.

    Returns:
        Name of the checkpoint that was used.

    Raises:
        ConfigError: another task, no checkpoint, other numbers than the generator takes, or a
            folder in the place of the file.
        CheckpointError: the checkpoint is torn, or no place to write.
    """
    if out.is_dir():
        raise ConfigError(f"{out}: is a folder; give --out the name of an npy file")
    job = read_resolved(run / "config.yaml")
    if not isinstance(job.train, FieldGan):
        raise ConfigError(f"{run}: trains {job.train.task}; fields are made by field_gan alone")
    folder = run / "checkpoints"
    name = checkpoint or ("best.pt" if (folder / "best.pt").is_file() else "latest")
    if not (folder / name).is_file():
        raise ConfigError(f"{folder / name}: there is none; train first, or name another")
    place = (folder / name).resolve()
    state = load(place)
    known = state["task"]
    scales, style_scale = Scales.from_dict(known["scales"]), known["style_scale"]
    size = len(style_scale[0]) if style_scale else 0
    if len(style) != size:
        takes = f"{size} numbers, the columns of data.styles" if size else "none"
        raise ConfigError(f"--style: found {len(style)} numbers; this generator takes {takes}")
    a, b, c = job.fields.crop
    generator = make_generator(job.train, len(scales.names), (a, b, c), size)
    generator.load_state_dict(state["models"]["generator"])
    averages = averages_of(state, "generator")
    if averages is not None:
        put_averages(generator, averages)
    generator.eval()
    given = torch.tensor([style]) if size else None
    if given is not None:
        mean, deviation = torch.tensor(style_scale, dtype=torch.float32)
        given = (given - mean) / deviation
    limits = highest_values(scales, known["edges"])
    shape = (len(scales.names), *((b, c) if a == 1 else (a, b, c)))

    at_once = num_at_once(shape, job.train.generator.channels)

    def made() -> Iterator[Array]:
        for first in range(0, count, at_once):
            ids = range(first, min(count, first + at_once))
            noise = _noise(seed, ids, generator.noise_size)
            rows = None if given is None else given.expand(len(ids), -1)
            with torch.no_grad():
                yield physical(scales, generator(noise, rows), limits).numpy()

    temporary = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        _write(temporary, made(), (count, *shape))
        embed(temporary, stamp_run(run, "sample", **checkpoint_facts(place, state)))
        publish(temporary, out)
    except OSError as e:
        raise CheckpointError(f"{out}: cannot be written: {e.strerror}; give another --out") from e
    finally:
        remove(temporary)
        sidecar_path(temporary).unlink(missing_ok=True)
    return place.name


def num_at_once(shape: Sequence[int], widths: Sequence[int]) -> int:
    """How many fields are made in one pass, so that memory stays within about 1 GB.

    Args:
        shape: (C, H, W) or (C, D, H, W) of a field.
        widths: channels of the layers, from the finest, at half the resolution, on.
    """
    channels, *size = shape
    cells = math.prod(size)
    layers = sum(n * cells >> (len(size) * (i + 1)) for i, n in enumerate(widths))
    # in and out of BatchNorm and ReLU; the field itself is rescaled in some steps
    numbers = 2 * layers + 8 * channels * cells
    return max(1, min(_MOST_AT_ONCE, _BUDGET_BYTES // (4 * numbers)))


def _write(path: Path, batches: Iterable[Array], shape: tuple[int, ...]) -> None:
    """An npy file, piece by piece; a memory map would die by SIGBUS where the disk is full."""
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for batch in batches:
            file.write(np.ascontiguousarray(batch, "<f4").data)
        file.flush()
        os.fsync(file.fileno())


def _noise(seed: int, ids: range, size: int) -> Tensor:
    rows = []
    for i in ids:
        entropy = np.random.SeedSequence([seed, i], spawn_key=(_STREAM,))
        own = int(entropy.generate_state(1, np.uint64)[0] >> np.uint64(1))
        rows.append(torch.randn(size, generator=torch.Generator().manual_seed(own)))
    return torch.stack(rows)
