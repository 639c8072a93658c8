"""The task `scroll_vae`: cubes of a scan, coded in a vector and decoded again.

Kingma and Welling 2014 (arXiv 1312.6114) with the networks of the scroll notebook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from hpctrain.config.job import Job
from hpctrain.config.scroll_vae import ScrollVae
from hpctrain.data.scroll import ScrollBatch
from hpctrain.models.vae import Vae3d
from hpctrain.tasks.scroll_vae.bound import bound, make_vae
from hpctrain.tasks.scroll_vae.components import components_of
from hpctrain.tasks.scroll_vae.draws import NOISE_STREAM, normal_rows
from hpctrain.tasks.scroll_vae.evaluation import VaeEvaluation
from hpctrain.tasks.scroll_vae.samples import Samples, open_samples, span_of
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.task import Data, Place, Position, Task, Validation
from hpctrain.train.update import Update


class ScrollVaeTask(Task):
    """Learns a posterior over latent numbers of a volume, and the volume given these."""

    def __init__(self, job: Job, place: Place) -> None:
        super().__init__(job, place)
        if not isinstance(job.train, ScrollVae):
            raise TypeError(f"train.task is {job.train.task!r}, not 'scroll_vae'")
        self.settings = job.train

    def build_data(self, saved: Mapping[str, Any] | None, share: Any) -> Data:
        """Open both splits; grey values are measured once, on the first start of the run."""
        self.samples: Samples = open_samples(self.job, self.place, saved, share)
        data = self.samples.data
        self._is_new = not saved
        if saved:
            span = saved["span"]
        else:
            span = share(span_of(data.validation) if self.place.rank == 0 else None)
        self.evaluation = VaeEvaluation(self.settings, span)
        return data

    def build_models(self) -> dict[str, nn.Module]:
        """The network, with the likelihood's deviation where that is learned.

        A linear path is found by rank 0 alone, whose first weights all ranks take.
        """
        vae = make_vae(self.settings, self.samples.window)
        windows = self.settings.network.linear_windows
        if windows and self._is_new and self.place.rank == 0:
            vae.begin_with(components_of(self.samples.data.train, windows, vae.latent_dim))
        return {"vae": vae}

    def build_optimizers(self, models: Mapping[str, nn.Module]) -> dict[str, Optimizer]:
        """One for all."""
        return {"vae": build_optimizer(self.settings.optimizer, models["vae"].parameters())}

    def training_step(self, batch: ScrollBatch, update: Update, at: Position) -> dict[str, Tensor]:
        """One step towards a higher evidence lower bound."""

        def loss(part: ScrollBatch) -> dict[str, Tensor]:
            ids, device = part.ids, part.volume.device
            seed = self.settings.seed
            vae = self._vae
            noise = normal_rows(vae.latent_dim, seed, part.epoch, ids, NOISE_STREAM, device)
            coded = vae(part.volume, noise)
            found = bound(self.settings, coded, part.volume, vae.deviation, at.global_step)
            return found._asdict()

        losses = update("vae", loss, update.split(batch))
        return {"vae": losses.pop("loss"), **losses}

    def validation_step(self, batch: ScrollBatch) -> dict[str, Tensor]:
        """Likelihood, errors and moments of outputs and latent numbers."""
        return self.evaluation.sums(batch, self._vae)

    def validation_result(self, sums: Mapping[str, Tensor]) -> Validation:
        """Loss, PSNR, active units."""
        return self.evaluation.result(sums)

    def figures(self, epoch: int) -> Sequence[tuple[str, Any]]:
        """Reconstructions in three cuts, traversals, and the error by distance."""
        return [*self.evaluation.figures(self._vae, epoch), *self.curves(epoch)]

    def curves(self, epoch: int) -> Sequence[tuple[str, Any]]:
        """The error by distance from the centre."""
        return self.evaluation.curves(epoch)

    def state(self) -> dict[str, Any]:
        """What was measured at the start."""
        return {**self.samples.state(), "span": self.evaluation.span}

    @property
    def _vae(self) -> Vae3d:
        return self.models["vae"]  # type: ignore[return-value]
