"""The tasks `super_resolution` and `field_to_field`: data, networks and steps.

Super-resolution is a conditional 3D GAN as of map2map's srsgan (Li et al. 2021, PNAS 118,
e2022038118) and EarthGAN: the generator upsamples and adds detail, the critic sees the upsampled
input beside the truth or the generated field. From field to field the same steps serve networks at
one resolution, and input and target may have unequal variables. Without `adversary` both are plain
regressions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from hpctrain.config.crops import CropStage
from hpctrain.config.job import Job
from hpctrain.config.task import FieldTraining
from hpctrain.data import FieldBatch, FieldDataset, Scales
from hpctrain.errors import ConfigError
from hpctrain.losses import criterion
from hpctrain.tasks.super_resolution.adversarial import AdversarialStep, crop_spectra
from hpctrain.tasks.super_resolution.evaluation import Evaluation
from hpctrain.tasks.super_resolution.networks import (
    halo_of,
    make_critic,
    make_generator,
    needs_style,
    on_fields,
)
from hpctrain.tasks.super_resolution.pair import Pair
from hpctrain.tasks.super_resolution.weights import begin_with
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.task import Data, Place, Position, Task, Validation
from hpctrain.train.update import Update


class SuperResolutionTask(Task):
    """Learns target fields from the same variables, coarser by a power of two."""

    def __init__(self, job: Job, place: Place) -> None:
        super().__init__(job, place)
        if not isinstance(job.train, FieldTraining):
            raise TypeError(f"train.task is {job.train.task!r}, which trains no fields")
        self.settings = job.train
        self.factor = self.settings.upscale_factor
        self.halo = halo_of(self.settings, job.fields.crop)
        self.content_loss = criterion(self.settings.criterion)

    def build_data(self, saved: Mapping[str, Any] | None, share: Any) -> Data:
        """Open both splits; scales are measured once, on the first start of the run."""
        train = self._dataset("train")
        self._is_resumed = saved is not None
        if saved:
            self.scales = Scales.from_dict(saved["scales"])
        else:
            measured = train.measure_scales().to_dict() if self.place.rank == 0 else None
            self.scales = Scales.from_dict(share(measured))
        validation = self._dataset("validation")
        train.scales = validation.scales = self.scales
        earlier = [
            (stage.epochs, self._recut(train, stage)) for stage in self.job.fields.crop_stages
        ]
        self.channels = (train.num_input_channels, len(train.variables))
        self._check(train)
        self.evaluation = Evaluation(self.settings, validation, self.scales, self.halo)
        self.style_size = len(train.style_names)
        if self.style_size == 0 and needs_style(self.settings):
            raise ConfigError(
                "train.generator: takes a style, and data.styles is not given; name a table of a "
                "number or more for each file"
            )
        return Data(train, validation, earlier)

    def build_models(self) -> dict[str, nn.Module]:
        """Generator, and the discriminator if there is an adversary."""
        inputs, targets = self.channels
        made = make_generator(self.settings, inputs, targets, self.style_size)
        critic = None
        if self.settings.adversary:
            seen = targets + (inputs if self.settings.adversary.conditional else 0)
            critic = make_critic(self.settings, seen)
        if self.settings.initial_weights and not self._is_resumed:
            root = self.place.read_index().home
            begin_with(self.settings.initial_weights, root, made, critic)
        models = {"generator": on_fields(made)}
        return models | ({"discriminator": on_fields(critic)} if critic is not None else {})

    def build_optimizers(self, models: Mapping[str, nn.Module]) -> dict[str, Optimizer]:
        """One optimizer a network."""
        optimizers = {
            "generator": build_optimizer(self.settings.optimizer, models["generator"].parameters())
        }
        if self.settings.adversary:
            optimizers["discriminator"] = build_optimizer(
                self.settings.adversary.optimizer, models["discriminator"].parameters()
            )
        return optimizers

    def training_step(self, batch: FieldBatch, update: Update, at: Position) -> dict[str, Tensor]:
        """One generator step; in the adversarial epochs after its critic steps."""
        pairs = [
            Pair(part, self._generator, self.factor, self.settings.seed)
            for part in update.split(batch)
        ]
        adversary = self.settings.adversary
        if adversary is None or at.epoch < self.settings.pretrain_epochs:
            return {"generator": update("generator", self._content, pairs)["loss"]}
        critic, spectral = self.models["discriminator"], crop_spectra(adversary)
        step = AdversarialStep(adversary, critic, self.content_loss, spectral)
        return step(pairs, update, at.global_step, at.epoch - self.settings.pretrain_epochs)

    def validation_step(self, batch: FieldBatch) -> dict[str, Tensor]:
        """Squared errors and spectra of generated and trilinear fields."""
        return self.evaluation.sums(batch, self._generator)

    def validation_result(self, sums: Mapping[str, Tensor]) -> Validation:
        """RMSE and log-spectrum error, in physical units by variable."""
        return self.evaluation.result(sums)

    def compilable(self) -> Sequence[str]:
        """All networks, but for a critic with a gradient penalty."""
        adversary = self.settings.adversary
        has_penalty = adversary is not None and adversary.gradient_penalty is not None
        return [n for n in self.models if not (n == "discriminator" and has_penalty)]

    def figures(self, epoch: int) -> Sequence[tuple[str, Any]]:
        """Slices of a validation field, and the spectra of all of them."""
        return self.evaluation.figures(self._generator, self.place.device, epoch)

    def curves(self, epoch: int) -> Sequence[tuple[str, Any]]:
        """The spectra of the validation fields."""
        return self.evaluation.curves(epoch)

    def state(self) -> dict[str, Any]:
        """The scales, without which no output has a meaning."""
        return {"scales": self.scales.to_dict()}

    @property
    def _generator(self) -> nn.Module:
        return self.models["generator"]

    def _check(self, train: FieldDataset) -> None:
        """Refuse variables that this task cannot learn."""
        if self.channels[0] != self.channels[1]:
            raise ConfigError(
                f"data: inputs have {self.channels[0]} channels and targets {self.channels[1]}; "
                "super_resolution sharpens the variables it is given: make both lists alike, or "
                "choose task: field_to_field"
            )

    def _dataset(self, split: str) -> FieldDataset:
        return FieldDataset(
            self.job.fields,
            self.place.read_index(),
            split,
            self.factor,
            self.halo,
            self.settings.seed,
        )

    def _recut(self, train: FieldDataset, stage: CropStage) -> FieldDataset:
        return train.recut(stage.crop, stage.stride, halo_of(self.settings, stage.crop))

    def _content(self, pair: Pair) -> dict[str, Tensor]:
        return {"loss": self.content_loss(pair.generate().float(), pair.target)}


class FieldToFieldTask(SuperResolutionTask):
    """Learns other fields out of given ones."""

    def _check(self, train: FieldDataset) -> None:
        """Inputs must be given where nothing is coarsened; unequal variables are welcome."""
        if self.factor == 1 and not self.job.fields.inputs:
            raise ConfigError(
                "data.inputs: field_to_field at upscale_factor 1 learns targets from inputs; name "
                "their files"
            )
