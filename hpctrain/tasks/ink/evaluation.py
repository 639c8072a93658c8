"""How well ink is found on held-out windows: histograms of scores, which add up over ranks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hpctrain.analysis import ink_figures, volume_figures
from hpctrain.analysis.detection import LIMIT, NUM_BINS, Detection
from hpctrain.config.ink import Ink
from hpctrain.data.scroll import ScrollBatch
from hpctrain.data.scroll.dataset import ScrollDataset
from hpctrain.errors import DataError
from hpctrain.tasks.ink.criterion import InkCriterion
from hpctrain.tasks.ink.region import Region
from hpctrain.tasks.scroll_vae.evaluation import error_by_distance
from hpctrain.train.alarms import constant_output
from hpctrain.train.task import Validation

BETA = 0.5
"""The ink challenge's."""
_SHOWN = 4
"""Windows in the figure."""
_INK = 0.5
"""A label from here on is ink."""

_WORTH_SHOWING = 0.05
"""Share of ink in a window."""

Array = NDArray[Any]


class _Window(NamedTuple):
    """What a figure shows of one."""

    share: float
    layer: Array
    label: Array
    mask: Array
    probability: Array


class InkEvaluation:
    """Validation of one run: sums by batch, numbers and figures at the end of a pass.

    Args:
        settings: the `train:` block.
        criterion: the loss.
        region: what the picture of the whole shows; None: there is none.
        infrared: gives the region's infrared picture by cells, or None; called for a figure.
    """

    def __init__(
        self,
        settings: Ink,
        criterion: InkCriterion,
        region: Region | None = None,
        infrared: Callable[[], Array | None] = lambda: None,
    ) -> None:
        self.settings, self.criterion = settings, criterion
        self.region, self._infrared = region, infrared
        self._curves: dict[str, Any] = {}
        self._by_distance: dict[str, list[float]] = {}
        self._pictures: dict[str, Array] = {}
        self._shown: list[_Window] = []

    def sums(self, batch: ScrollBatch, network: nn.Module) -> dict[str, Tensor]:
        """Sums over one batch that add up over batches and ranks."""
        assert batch.label is not None
        logits, label, mask = network(batch.volume).float(), batch.label, batch.mask
        loss = self.criterion(logits, label, mask, is_trained=False)
        probability = torch.sigmoid(logits)
        self._keep(batch, probability)
        p, y = probability[mask].double(), label[mask].double()
        is_ink = y >= _INK
        # rounding of large logits does no harm: all beyond the limit share a bin
        bins = ((logits[mask] + LIMIT) * (NUM_BINS / (2 * LIMIT))).long().clamp(0, NUM_BINS - 1)
        found = {
            "count": torch.tensor(float(len(batch.ids)), dtype=torch.float64),
            "loss": len(batch.ids) * loss.double(),
            "ink": torch.bincount(bins[is_ink], minlength=NUM_BINS).double(),
            "bare": torch.bincount(bins[~is_ink], minlength=NUM_BINS).double(),
            "moments": torch.stack(
                (torch.ones_like(p).sum(), p.sum(), (p * p).sum(), y.sum(), (y * y).sum())
            ),
        }
        errors = torch.where(mask, probability - label, 0).double().square()
        found |= {"errors": errors.sum(0), "seen": mask.sum(0).double()}
        if self.region is not None:
            found |= self.region.sums(batch, probability)
        return found

    def _keep(self, batch: ScrollBatch, probability: Tensor) -> None:
        """Remember the first windows with ink, and until there are some any others."""
        assert batch.label is not None
        if 0 in batch.ids:
            self._shown = []
        shares = (batch.label * batch.mask).mean((1, 2)).tolist()
        for i, share in enumerate(shares):
            if share < _WORTH_SHOWING and len(self._shown) >= _SHOWN:
                continue
            layer = batch.volume[i, 0, batch.volume.shape[2] // 2]
            parts = layer, batch.label[i], batch.mask[i].float(), probability[i]
            window = _Window(share, *(part.cpu().numpy() for part in parts))
            self._shown = sorted([*self._shown, window], key=lambda w: w.share < _WORTH_SHOWING)
            self._shown = self._shown[:_SHOWN]

    def result(self, sums: Mapping[str, Tensor]) -> Validation:
        """AUC, F0.5, Dice and the alarm of a constant output."""
        found = Detection(sums["ink"].numpy(), sums["bare"].numpy())
        f05, threshold = found.best(BETA)
        dice, _ = found.best(1.0)
        pixels, p, pp, y, yy = sums["moments"].tolist()
        of_output = pp / pixels - (p / pixels) ** 2 if pixels else 0.0
        of_labels = yy / pixels - (y / pixels) ** 2 if pixels else 0.0
        scalars = {
            "loss": float(sums["loss"] / sums["count"]),
            "auc": found.auc(),
            "average_precision": found.average_precision(),
            "f05": f05,
            "f05_threshold": threshold,
            "dice": dice,
            "calibration_error": found.calibration_error(),
            "ink_share": float(found.ink.sum() / pixels) if pixels else math.nan,
            "output_variance": of_output / of_labels if of_labels > 0 else math.nan,
        }
        self._curves = curves_of(found)
        self._by_distance = error_by_distance(sums["errors"].numpy(), sums["seen"].numpy())
        if self.region is not None:
            self._pictures = self.region.pictures(sums)
        alarms = constant_output(of_output, of_labels, self.settings.alarms.constant_output)
        summary = {
            "windows": int(sums["count"]),
            "pixels": int(pixels),
            **{key: _or_null(value) for key, value in scalars.items()},
            "error_by_distance": self._by_distance,
        }
        return Validation(
            scalars, {"summary.json": summary, "ink.json": self._curves}, alarms=alarms
        )

    def figures(self, epoch: int) -> Sequence[tuple[str, Callable[[], Any]]]:
        """Draw functions: windows, the region, and the curves."""
        draws = list(self.curves(epoch))
        title = f"validation, epoch {epoch}"
        if self._shown:
            _, *parts = zip(*self._shown, strict=True)
            layer, label, mask, probability = (np.stack(part) for part in parts)
            draw = partial(ink_figures.windows, layer, label, mask, probability, title)
            draws.append(("ink_windows", draw))
        if self.region is not None and self._pictures:
            panels = {"labels": self._pictures["label"], "ink": self._pictures["probability"]}
            infrared = self._infrared()
            shown = panels if infrared is None else {"infrared": infrared, **panels}
            title = f"{self.region.source}, held out, epoch {epoch}; windows as they are, unblended"
            draws.append(("ink_region", partial(ink_figures.region, shown, title=title)))
        return draws

    def curves(self, epoch: int) -> Sequence[tuple[str, Callable[[], Any]]]:
        """Precision and recall, thresholds, calibration; the error towards a window's edges."""
        if not self._curves:
            return []
        title = f"validation, epoch {epoch}"
        by_distance = partial(volume_figures.by_distance, self._by_distance, title=title)
        return [
            ("ink_curves", partial(ink_figures.curves, self._curves, title=title)),
            ("ink_error_by_distance", by_distance),
        ]


def curves_of(found: Detection) -> dict[str, Any]:
    """What `ink_figures.curves` draws, as it stands in JSON."""
    f05, threshold = found.best(BETA)
    return {
        **found.curves(),
        "calibration": found.calibration(),
        "calibration_error": _or_null(found.calibration_error()),
        "f05_best": _or_null(f05),
        "f05_threshold": _or_null(threshold),
    }


def balance(batch: ScrollBatch) -> float:
    """How often ink must count for both classes to weigh alike.

    Args:
        batch: windows spread over the training set.

    Returns:
        Pixels without ink over pixels with it, between 1/100 and 100.

    Raises:
        DataError: one class is absent.
    """
    assert batch.label is not None
    ink, pixels = float(batch.label[batch.mask].sum()), int(batch.mask.sum())
    if not 0 < ink < pixels:
        raise DataError(
            f"train.loss.ink_weight: {len(batch.ids)} training windows have {ink:.0f} pixels of "
            f"ink among {pixels} valid ones, which balanced cannot be measured on; give a number, "
            "or let data.ink_share draw more windows of the other kind"
        )
    return float(np.clip((pixels - ink) / ink, 0.01, 100.0))


def check_ink(dataset: ScrollDataset) -> None:
    """Make sure that there is ink to be found in a validation.

    Args:
        dataset: the held-out windows, with labels.

    Raises:
        DataError: no valid pixel of them is ink, so that nothing can be judged.
    """
    _, height, width = dataset.scroll.window
    for i in range(len(dataset)):
        place = dataset.place(i, 0)
        volume, (_, y, x) = dataset.volumes[place.volume], place.origin
        part = slice(y, y + height), slice(x, x + width)
        assert volume.labels is not None
        ink = volume.labels[part]
        if (ink if volume.mask is None else ink & volume.mask[part]).any():
            return
    raise DataError(
        f"data.validation: none of the {len(dataset)} held-out windows of "
        f"{', '.join(dataset.sources)} has ink on valid pixels, so that F0.5 and Dice cannot be "
        "measured; hold out another part, which has ink"
    )


def _or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None
