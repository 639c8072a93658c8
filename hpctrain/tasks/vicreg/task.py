"""The task `vicreg`: Bardes et al. 2022 (arXiv 2105.04906) on both pictures of a pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from hpctrain.config.job import Job
from hpctrain.config.vicreg import Vicreg
from hpctrain.data.pairs import PairBatch
from hpctrain.index.beside import place_of
from hpctrain.losses.vicreg import VicregLoss, vicreg
from hpctrain.losses.wide import wide
from hpctrain.tasks.pairs.evaluation import PairEvaluation
from hpctrain.tasks.pairs.networks import MODALITIES, Origin, configurations, embed, ends_of
from hpctrain.tasks.pairs.samples import Samples, open_samples
from hpctrain.tasks.pairs.watch import Watched
from hpctrain.tasks.vicreg.networks import expand, make_networks
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.task import Data, Place, Position, Task, Validation
from hpctrain.train.update import Update


class VicregTask(Task):
    """Learns an encoder of each modality from pairs alone."""

    def __init__(self, job: Job, place: Place) -> None:
        super().__init__(job, place)
        if not isinstance(job.train, Vicreg):
            raise TypeError(f"train.task is {job.train.task!r}, not 'vicreg'")
        self.settings = job.train
        self.ends = ends_of(self.settings)

    def build_data(self, saved: Mapping[str, Any] | None, share: Any) -> Data:
        """Open both splits; what is measured is measured once, on the first start of the run."""
        self._saved = saved
        self.samples: Samples = open_samples(self.job, self.place, saved, share)
        data = self.samples.data
        self.evaluation = PairEvaluation(Watched(data.validation, self.settings.watch))
        return data

    def build_models(self) -> dict[str, nn.Module]:
        """A backbone and an expander of each modality, or of both."""
        train = self.samples.data.train
        home, saved = self.place.read_index().home, self._saved
        origin = Origin(
            lambda path: place_of(path, home),
            is_loaded=saved is None,
            kept=(saved or {}).get("backbones", {}),
        )
        sizes = {m: train.size(m) for m in MODALITIES}
        made = make_networks(self.settings, train.channels, sizes, origin)
        own = {m: made[f"backbone{end}"] for m, end in self.ends.items()}
        self._configurations = configurations(self.settings, own)
        return made

    def build_optimizers(self, models: Mapping[str, nn.Module]) -> dict[str, Optimizer]:
        """One for all."""
        parameters = [p for name in self.settings.networks for p in models[name].parameters()]
        return {"vicreg": build_optimizer(self.settings.optimizer, parameters)}

    def training_step(self, batch: PairBatch, update: Update, at: Position) -> dict[str, Tensor]:
        """One step on the loss of the whole batch, over all ranks."""

        def loss(part: PairBatch) -> dict[str, Tensor]:
            rows = []
            for n, (m, end) in enumerate(self.ends.items()):
                x = self.models[f"expander{end}"](self._embedded(m, part, n))
                rows.append(update.gather(m, wide(x), part))
            return self._loss(*rows)._asdict()

        losses = update("vicreg", loss, update.split(batch.augmented()))
        return {"vicreg": losses.pop("loss"), **losses}

    def validation_step(self, batch: PairBatch) -> dict[str, Tensor]:
        """Embeddings of the watched pairs."""
        batch = batch.augmented()
        found = {m: self._embedded(m, batch, n) for n, m in enumerate(MODALITIES)}
        return self.evaluation.sums(batch, found)

    def validation_result(self, sums: Mapping[str, Tensor]) -> Validation:
        """The loss of all watched pairs as one batch, retrieval, and what a collapse would show."""
        compared = {
            m: expand(self.models[f"expander{end}"], sums[m]) for m, end in self.ends.items()
        }
        found = self._loss(compared["rgb"], compared["ir"])
        scalars = {name: float(value) for name, value in found._asdict().items()}
        return self.evaluation.result(scalars, sums, compared, self.settings.alarms)

    def figures(self, epoch: int) -> Sequence[tuple[str, Any]]:
        """How alike pairs are across modalities, and the spectrum of embeddings."""
        return self.evaluation.curves(epoch)

    def curves(self, epoch: int) -> Sequence[tuple[str, Any]]:
        """The same."""
        return self.evaluation.curves(epoch)

    def state(self) -> dict[str, Any]:
        """What was measured at the start, and how large backbones with weights are."""
        return {**self.samples.state(), "backbones": self._configurations}

    def encoders(self) -> dict[str, nn.Module]:
        """The network of each modality whose forward pass gives the embedding."""
        return {m: self.models[f"backbone{end}"] for m, end in self.ends.items()}

    def _embedded(self, modality: str, batch: PairBatch, number: int) -> Tensor:
        backbone = self.models[f"backbone{self.ends[modality]}"]
        (crops,) = batch.crops[modality]
        return embed(backbone, crops, self.settings.seed, batch.epoch, batch.ids, number)

    def _loss(self, x: Tensor, y: Tensor) -> VicregLoss:
        weights = self.settings.weights
        return vicreg(x, y, weights.invariance, weights.variance, weights.covariance)
