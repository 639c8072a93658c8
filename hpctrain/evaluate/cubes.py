"""`hpctrain evaluate` of a VAE: held-out cubes decoded again, beside as many block means."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hpctrain.analysis import volume_figures
from hpctrain.analysis.whole_files import CUBES, CUBES_TABLE
from hpctrain.data.sampler import Share
from hpctrain.data.scroll import ScrollBatch
from hpctrain.evaluate.files import write_figure, write_table
from hpctrain.evaluate.trained_vae import TrainedVae
from hpctrain.predict.progress import TileProgress
from hpctrain.provenance import embed, stamp_run
from hpctrain.tasks.scroll_vae.evaluation import VaeEvaluation, error_by_distance
from hpctrain.train.json_file import write_json

Triple = tuple[int, int, int]
FOLDER = "cubes"
"""Of the figures, below eval/."""
_AT_ONCE = 32
_SHOWN = 6
"""Cubes in the figure, from the best reconstruction to the worst."""


def evaluate_cubes(
    run_dir: Path, say: Callable[[str], None] = lambda _: None, *, cubes: int | None = None
) -> dict[str, Any]:
    """Code held-out cubes and decode them again, in float32.

    The yardstick is the scan itself as block means, at most as many of them as the VAE has latent
    numbers, brought back to all voxels trilinearly. Memory: that of a batch of 32 cubes.

    Args:
        run_dir: of task `scroll_vae`, has a checkpoint.
        say: takes lines.
        cubes: at most so many, evenly spread; None: as `data.validation.samples`.

    Returns:
        What stands in eval/cubes.json.

    Raises:
        CheckpointError: there is no whole checkpoint, or it is of another network.
        DataError: files cannot be read.
    """
    run_dir = run_dir.resolve()
    source = TrainedVae(run_dir, cubes)
    measured = _Pass(source)
    page = measured.page()
    folder, stamp = run_dir / "eval", stamp_run(run_dir, "evaluation", **source.facts)
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    write_table(folder / CUBES_TABLE, measured.rows, stamp)
    for name, draw in measured.figures():
        write_figure(folder / FOLDER / f"{name}.png", draw(), stamp)
    write_json(folder / CUBES, page)
    embed(folder / CUBES, stamp)
    for line in _words(page):
        say(line)
    return page


class _Pass:
    """One pass over the held-out cubes.

    Attributes:
        rows: one a cube: where it is, how much it varies, and errors.
    """

    def __init__(self, source: TrainedVae) -> None:
        self._source = source
        self.rows: list[dict[str, Any]] = []
        self._evaluation = VaeEvaluation(source.settings, source.span)
        self._blocks = blocks_of(source.vae.latent_dim, source.window)
        self._block_errors: Tensor = torch.zeros(source.window, dtype=torch.float64)
        sums: dict[str, Tensor] = {}
        count = len(source.cubes)
        voxels = math.prod(source.window)
        progress = TileProgress(count, count * voxels, is_shown=True)
        for batch in _batches(source, range(count)):
            for key, value in self._add(batch).items():
                sums[key] = sums[key] + value if key in sums else value
            for _ in batch.ids:
                progress.add()
        progress.end()
        self._sums = {key: value.cpu() for key, value in sums.items()}
        self._result = self._evaluation.result(self._sums)

    @torch.no_grad()
    def _add(self, batch: ScrollBatch) -> dict[str, Tensor]:
        coded, output = self._evaluation.code(batch, self._source.vae)
        plain = block_means(batch.volume, self._blocks)
        true = batch.volume.double()
        ours, theirs = ((made.double() - true).square() for made in (output, plain))
        self._block_errors += theirs.sum((0, 1)).cpu()
        columns = (
            true.var((1, 2, 3, 4), correction=0).tolist(),
            ours.mean((1, 2, 3, 4)).tolist(),
            theirs.mean((1, 2, 3, 4)).tolist(),
        )
        for i, (variance, mse, block_mse) in enumerate(zip(*columns, strict=True)):
            z, y, x = batch.origins[i].tolist()
            self.rows.append(
                {
                    "source": batch.sources[i], "z": z, "y": y, "x": x, "variance": variance,
                    "mse": mse, "psnr": self._psnr(mse), "block_means_mse": block_mse,
                }
            )  # fmt: skip
        return self._evaluation.sums_of(batch, self._source.vae, coded, output)

    def page(self) -> dict[str, Any]:
        """Numbers over all cubes."""
        summary = dict(self._result.files["summary.json"])
        count = summary.pop("samples")
        errors = (self._block_errors / count).numpy()
        mse, data = float(errors.mean()), float(self._variance().mean())
        curve = summary.pop("error_by_distance")
        return {
            "epoch": self._source.facts["epoch"],
            "checkpoint": self._source.facts["checkpoint"],
            "weights": self._source.weights,
            "cubes": count,
            "window": list(self._source.window),
            **summary,
            "block_means": {
                "blocks": list(self._blocks),
                "mse": mse,
                "psnr": self._psnr(mse),
                "explained": 1 - mse / data if data else None,
            },
            "error_by_distance": {**curve, "block means": error_by_distance(errors)["mse"]},
            "alarms": [alarm.text for alarm in self._result.alarms],
        }

    def figures(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Names and draw functions: reconstructions by their error, traversals, errors by place."""
        order = sorted(range(len(self.rows)), key=lambda i: float(self.rows[i]["mse"]))
        picked = np.unique(np.linspace(0, len(order) - 1, min(_SHOWN, len(order))).astype(int))
        (batch,) = _batches(self._source, [order[i] for i in picked])
        with torch.no_grad():
            _, output = self._evaluation.code(batch, self._source.vae)
        true, made = (x[:, 0].cpu().numpy() for x in (batch.volume, output))
        epoch = self._source.facts["epoch"]
        title = f"from the best reconstruction to the worst of {len(order)} cubes, epoch {epoch}"
        yield "reconstruction", partial(volume_figures.reconstructions, true, made, title)
        for name, draw in self._evaluation.figures(self._source.vae, epoch):
            if name == "latent_traversal":
                yield name, draw
        curve = self.page()["error_by_distance"]
        title = f"{len(order)} held-out cubes, epoch {epoch}"
        yield "error_by_distance", partial(volume_figures.by_distance, curve, title)

    def _variance(self) -> Tensor:
        n = float(self._sums["count"])
        return (self._sums["data_squares"] / n - (self._sums["data"] / n).square()).clamp(min=0)

    def _psnr(self, mse: float) -> float | None:
        return 10 * math.log10(self._source.span**2 / mse) if mse > 0 else None


def blocks_of(numbers: int, window: Triple) -> Triple:
    """Blocks along each axis: alike in shape, and at most so many in all; at least one an axis."""
    share = (numbers / math.prod(window)) ** (1 / 3)
    # 512 numbers of 32^3 voxels are 8 along each axis, where rounding may leave 7.999...
    a, b, c = (min(n, max(1, math.floor(n * share + 1e-9))) for n in window)
    return a, b, c


def block_means(volume: Tensor, blocks: Triple) -> Tensor:
    """Means of blocks, brought back to all voxels trilinearly.

    Args:
        volume: (B, 1, D, H, W).
        blocks: along each axis.
    """
    means = F.adaptive_avg_pool3d(volume, blocks)
    return F.interpolate(means, volume.shape[2:], mode="trilinear", align_corners=False)


def _batches(source: TrainedVae, ids: Sequence[int]) -> Iterator[ScrollBatch]:
    for first in range(0, len(ids), _AT_ONCE):
        own = tuple(ids[first : first + _AT_ONCE])
        yield source.cubes.read_batch(Share(0, 0, own, len(own))).to(source.device)


def _words(page: dict[str, Any]) -> Iterator[str]:
    """What was found, in a few lines."""
    blocks = page["block_means"]
    yield (
        f"{page['cubes']} held-out cubes: {_told(page)}, {page['active_units']:.0f} of "
        f"{page['latent_dim']} latent numbers active"
    )
    yield f"{' x '.join(map(str, blocks['blocks']))} block means of each: {_told(blocks)}"
    yield from page["alarms"]


def _told(found: Mapping[str, Any]) -> str:
    """Without an error there is no PSNR, and of constant grey values nothing is explained."""
    psnr, share = found["psnr"], found["explained"]
    of_variance = "" if share is None else f", {share:.1%} of the variance explained"
    return f"PSNR {'infinite' if psnr is None else f'{psnr:.2f} dB'}{of_variance}"
