"""The task `ink`: the probability of ink for each pixel of a flattened surface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from hpctrain.config.ink import Ink
from hpctrain.config.job import Job
from hpctrain.data.scroll import ScrollBatch
from hpctrain.errors import ConfigError
from hpctrain.index.beside import place_of
from hpctrain.log import logger
from hpctrain.tasks.ink.criterion import InkCriterion
from hpctrain.tasks.ink.evaluation import InkEvaluation, balance, check_ink
from hpctrain.tasks.ink.networks import begin_with_vae, freeze, make_ink
from hpctrain.tasks.ink.region import infrared_of, region_of
from hpctrain.tasks.scroll_vae.samples import Samples, open_samples, some_windows
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.task import Data, Place, Position, Task, Validation
from hpctrain.train.update import Update


class InkTask(Task):
    """Learns labels of ink from the layers about a surface."""

    def __init__(self, job: Job, place: Place) -> None:
        super().__init__(job, place)
        if not isinstance(job.train, Ink):
            raise TypeError(f"train.task is {job.train.task!r}, not 'ink'")
        self.settings = job.train

    def build_data(self, saved: Mapping[str, Any] | None, share: Any) -> Data:
        """Open both splits; what is measured is measured once, on the first start of the run."""
        self._is_resumed = saved is not None
        self.samples: Samples = open_samples(self.job, self.place, saved, share)
        data = self.samples.data
        if not (data.train.has_labels and data.validation.has_labels):
            raise ConfigError(
                "data.labels: the volumes have none, and task ink learns from them; put them "
                "beside the layers, or name them"
            )
        check_ink(data.validation)
        weight = self.settings.loss.ink_weight
        if weight != "balanced":
            self.ink_weight = float(weight)
        elif saved:
            self.ink_weight = saved["ink_weight"]
        else:
            self.ink_weight = share(
                balance(some_windows(data.train)) if self.place.rank == 0 else None
            )
            if self.place.rank == 0:
                logger.info("a pixel of ink counts %.3g times, measured", self.ink_weight)
        self.criterion = InkCriterion(self.settings.loss, self.ink_weight)
        region = region_of(data.validation)
        infrared = partial(infrared_of, region, self.place.read_index())
        self.evaluation = InkEvaluation(self.settings, self.criterion, region, infrared)
        return data

    def build_models(self) -> dict[str, nn.Module]:
        """The network, with a VAE's encoder where that is asked for."""
        network = make_ink(self.settings, self.samples.window)
        weights = self.settings.initial_weights
        if weights is not None:
            if not self._is_resumed:
                root = self.place.read_index().home
                begin_with_vae(weights, place_of(weights.path, root), network)
            if weights.encoder == "frozen":
                freeze(network)
        return {"ink": network}

    def build_optimizers(self, models: Mapping[str, nn.Module]) -> dict[str, Optimizer]:
        """One for all that is trained."""
        return {"ink": build_optimizer(self.settings.optimizer, models["ink"].parameters())}

    def training_step(self, batch: ScrollBatch, update: Update, at: Position) -> dict[str, Tensor]:
        """One step on the loss."""

        def loss(part: ScrollBatch) -> dict[str, Tensor]:
            logits = self.models["ink"](part.volume)
            return {"loss": self.criterion(logits, part.label, part.mask)}  # type: ignore[arg-type]

        return {"ink": update("ink", loss, update.split(batch))["loss"]}

    def validation_step(self, batch: ScrollBatch) -> dict[str, Tensor]:
        """Histograms of scores by class, and the loss."""
        return self.evaluation.sums(batch, self.models["ink"])

    def validation_result(self, sums: Mapping[str, Tensor]) -> Validation:
        """AUC, F0.5, Dice."""
        return self.evaluation.result(sums)

    def figures(self, epoch: int) -> Sequence[tuple[str, Any]]:
        """Windows, the held-out region beside labels and infrared, curves."""
        return self.evaluation.figures(epoch)

    def curves(self, epoch: int) -> Sequence[tuple[str, Any]]:
        """Precision and recall, thresholds, calibration."""
        return self.evaluation.curves(epoch)

    def state(self) -> dict[str, Any]:
        """What was measured at the start."""
        return {**self.samples.state(), "ink_weight": self.ink_weight}
