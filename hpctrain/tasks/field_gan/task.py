"""The task `field_gan`: a DCGAN whose fields have the statistics of simulated ones.

As CosmoGAN (Mustafa et al. 2019, doi 10.1186/s40668-019-0029-9) and ExaGAN, for slices and cubes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hpctrain.config.field_gan import FieldGan
from hpctrain.config.job import Job
from hpctrain.data import CropDataset, FieldBatch, Scales
from hpctrain.errors import ConfigError, DataError
from hpctrain.log import logger
from hpctrain.losses import spectral_loss
from hpctrain.tasks.field_gan.draw import Draw
from hpctrain.tasks.field_gan.evaluation import Evaluation
from hpctrain.tasks.field_gan.networks import make_critic, make_generator
from hpctrain.tasks.field_gan.rescaling import Rescaling
from hpctrain.tasks.field_gan.step import FieldGanStep
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.task import Data, Place, Position, Task, Validation
from hpctrain.train.update import Update

_FEWEST = 2
"""Samples that BatchNorm needs."""
_FEWEST_JUDGED, _FEW_JUDGED = 2, 8
"""Validation samples that a variance needs, and those that it should have."""
_BOUNDED = ("ratio", "minmax")
"""Normalisations into [-1, 1], which a generator that ends in tanh can reach."""


class FieldGanTask(Task):
    """Learns to make fields that a discriminator cannot tell from those of the files."""

    def __init__(self, job: Job, place: Place) -> None:
        super().__init__(job, place)
        if not isinstance(job.train, FieldGan):
            raise TypeError(f"train.task is {job.train.task!r}, not 'field_gan'")
        self.settings = job.train
        share = job.batch_size_per_rank // job.train.accumulate
        if share < _FEWEST:
            raise ConfigError(
                f"train.global_batch_size: a rank has {share} sample a micro-batch, and BatchNorm "
                f"needs {_FEWEST}; give a larger batch, fewer ranks or a smaller accumulate"
            )

    def build_data(self, saved: Mapping[str, Any] | None, share: Any) -> Data:
        """Open both splits; scales and edges are measured once, on the first start of the run."""
        train, validation = self._dataset("train"), self._dataset("validation")
        _check_number(len(validation), is_told=self.place.rank == 0)
        if saved:
            measured = dict(saved)
        else:
            measured = share(self._measure(train, validation) if self.place.rank == 0 else None)
        self.scales = Scales.from_dict(measured["scales"])
        train.scales = validation.scales = self.scales
        self._check_output()
        self.evaluation = Evaluation(self.settings.judgement, validation, self.scales)
        self.evaluation.edges = measured["edges"]
        self._style_scale = measured["style_scale"]
        self.rescaling = Rescaling(self.scales, self.settings.rescaled_by)
        self.spectral_loss = partial(spectral_loss, is_periodic=train.is_periodic)
        self.channels, self.style_size = len(train.variables), len(train.style_names)
        return Data(train, validation)

    def build_models(self) -> dict[str, nn.Module]:
        """Generator and discriminator."""
        a, b, c = self.job.fields.crop
        seen = self.channels * self.rescaling.factor
        return {
            "generator": make_generator(self.settings, self.channels, (a, b, c), self.style_size),
            "discriminator": make_critic(self.settings, seen, (a, b, c), self.style_size),
        }

    def build_optimizers(self, models: Mapping[str, nn.Module]) -> dict[str, Optimizer]:
        """One optimizer a network."""
        blocks = {"generator": self.settings.optimizer}
        blocks["discriminator"] = self.settings.adversary.optimizer
        return {name: build_optimizer(b, models[name].parameters()) for name, b in blocks.items()}

    def training_step(self, batch: FieldBatch, update: Update, at: Position) -> dict[str, Tensor]:
        """Steps of the discriminator, then one of the generator."""
        adversary = self.settings.adversary
        content = self.spectral_loss if adversary.spectral_weight else _nothing
        step = FieldGanStep(adversary, self.models["discriminator"], content)
        draws = [self._draw(part) for part in update.split(batch)]
        losses = step(draws, update, at.global_step, at.epoch)
        if not adversary.spectral_weight:
            del losses["content"]
        return losses

    def validation_step(self, batch: FieldBatch) -> dict[str, Tensor]:
        """Histograms and spectra of true and made fields."""
        return self.evaluation.sums(self._draw(batch))

    def validation_result(self, sums: Mapping[str, Tensor]) -> Validation:
        """Chi-squares against validation, and those between its halves."""
        return self.evaluation.result(sums)

    def compilable(self) -> Sequence[str]:
        """Both networks, but for a discriminator with a gradient penalty."""
        has_penalty = self.settings.adversary.gradient_penalty is not None
        return ["generator"] if has_penalty else list(self.models)

    def figures(self, epoch: int) -> Sequence[tuple[str, Any]]:
        """Fields, histogram and spectrum as of the last validation."""
        return self.evaluation.figures(epoch)

    def state(self) -> dict[str, Any]:
        """What was measured: scales, edges of the histogram, scale of the styles."""
        return {
            "scales": self.scales.to_dict(),
            "edges": self.evaluation.edges,
            "style_scale": self._style_scale,
        }

    def _draw(self, batch: FieldBatch) -> Draw:
        if batch.style is not None:
            mean, deviation = batch.style.new_tensor(self._style_scale)
            batch = replace(batch, style=(batch.style - mean) / deviation)
        noise_size = self.settings.generator.noise_size
        generator = self.models["generator"]
        return Draw(batch, generator, self.rescaling, noise_size, self.settings.seed)

    def _measure(self, train: CropDataset, validation: CropDataset) -> dict[str, Any]:
        scales = train.measure_scales()
        edges = Evaluation(self.settings.judgement, validation, scales).measure_edges()
        style: list[list[float]] = []
        if train.styles is not None:
            deviation = train.styles.std(0, dtype=np.float64)
            style = [
                train.styles.mean(0, dtype=np.float64).tolist(),
                np.where(deviation > 0, deviation, 1.0).tolist(),
            ]
        return {"scales": scales.to_dict(), "edges": edges, "style_scale": style}

    def _check_output(self) -> None:
        """A generator that ends in tanh must be able to reach all values."""
        norms = self.job.fields.target_norms
        is_bounded = self.job.fields.normalization == "minmax"
        if norms:
            is_bounded = all(
                norm.then == "minmax" or (norm.then == "none" and norm.kind in _BOUNDED)
                for norm in norms
            )
        if self.settings.generator.output == "tanh" and not is_bounded:
            found = ", ".join(norm.kind for norm in norms) or self.job.fields.normalization
            raise ConfigError(
                "train.generator.output: tanh makes values in (-1, 1), which the normalisation "
                f"({found}) does not lead to; give data.target_norms of kind "
                "ratio, normalization: minmax, or output: linear"
            )

    def _dataset(self, split: str) -> CropDataset:
        return CropDataset(self.job.fields, self.place.read_index(), split, self.settings.seed)


def _check_number(count: int, *, is_told: bool) -> None:
    """Chi-squares divide by the variance between validation samples, which few of them tell badly.

    Raises:
        DataError: there are too few for a variance at all.
    """
    advice = "let crops overlap by a smaller data.stride, or raise data.validation_steps"
    if count < _FEWEST_JUDGED:
        raise DataError(
            f"data: validation has {count} sample, and chi-squares need the scatter of at least "
            f"{_FEWEST_JUDGED}; {advice}"
        )
    if count < _FEW_JUDGED and is_told:
        logger.warning(
            "validation has %d samples, whose scatter is hardly known from so few, and chi-squares "
            "with it; %s",
            count,
            advice,
        )


def _nothing(generated: Tensor, target: Tensor) -> Tensor:
    """No spectral loss is asked for, so none is computed."""
    return torch.zeros((), device=generated.device)
