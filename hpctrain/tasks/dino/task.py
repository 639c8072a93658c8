"""The task `dino`: Caron et al. 2021 (arXiv 2104.14294) on two modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hpctrain.config.dino import Dino
from hpctrain.config.job import Job
from hpctrain.data.pairs import PairBatch
from hpctrain.index.beside import place_of
from hpctrain.losses.dino import (
    centred,
    dino_loss,
    entropy,
    teacher_momentum,
    teacher_temperature,
)
from hpctrain.models.heads import DinoHead
from hpctrain.tasks.dino.networks import Centre, follow, make_networks
from hpctrain.tasks.dino.plan import plan_of, validation_plans
from hpctrain.tasks.dino.step import Student
from hpctrain.tasks.dino.teacher import Answers, Teacher
from hpctrain.tasks.pairs.evaluation import PairEvaluation
from hpctrain.tasks.pairs.networks import MODALITIES, Origin, configurations, ends_of
from hpctrain.tasks.pairs.samples import Samples, open_samples
from hpctrain.tasks.pairs.watch import Watched
from hpctrain.train.alarms import teacher_entropy
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.order import make_sampler
from hpctrain.train.task import Data, Place, Position, Task, Validation
from hpctrain.train.update import Update


class DinoTask(Task):
    """Learns an encoder from pictures alone; its teacher is what is used."""

    def __init__(self, job: Job, place: Place) -> None:
        super().__init__(job, place)
        if not isinstance(job.train, Dino):
            raise TypeError(f"train.task is {job.train.task!r}, not 'dino'")
        self.settings = job.train
        self.ends = ends_of(self.settings)
        self.teacher = Teacher(self.settings, self.ends)

    def build_data(self, saved: Mapping[str, Any] | None, share: Any) -> Data:
        """Open both splits; what is measured is measured once, on the first start of the run."""
        self._saved = saved
        self.samples: Samples = open_samples(self.job, self.place, saved, share)
        data = self.samples.data
        self.evaluation = PairEvaluation(Watched(data.validation, self.settings.watch))
        steps = make_sampler(self.job, data.train).batches_per_epoch
        self.total_steps = self.settings.epochs * steps
        return data

    def build_models(self) -> dict[str, nn.Module]:
        """Student and teacher with their heads; the teacher's centre."""
        train = self.samples.data.train
        home, saved = self.place.read_index().home, self._saved
        origin = Origin(
            lambda path: place_of(path, home),
            is_loaded=saved is None,
            kept=(saved or {}).get("backbones", {}),
        )
        sizes = {m: train.size(m) for m in MODALITIES}
        made = make_networks(self.settings, train.channels, sizes, origin)
        own = {m: made[f"student{end}"] for m, end in self.ends.items()}
        self._configurations = configurations(self.settings, own)
        return made

    def build_optimizers(self, models: Mapping[str, nn.Module]) -> dict[str, Optimizer]:
        """The student's."""
        own = [net for name, net in models.items() if name.startswith("student")]
        parameters = [p for net in own for p in net.parameters()]
        return {"dino": build_optimizer(self.settings.optimizer, parameters)}

    def training_step(self, batch: PairBatch, update: Update, at: Position) -> dict[str, Tensor]:
        """The student learns, the teacher follows, its centre moves on."""
        plan = plan_of(self.settings, at.global_step)
        parts = update.split(batch.augmented())
        with update.autocast():
            answers = self.teacher.ask(self.models, parts, plan)
        own = self.settings.teacher_temperature
        temperature = teacher_temperature(at.global_step, own.first, own.last, own.warmup_steps)
        move = self.teacher.decide(self.models, answers, temperature, update.comm)
        student = Student(self.settings, self.ends, self.models)

        def loss(work: tuple[PairBatch, Answers]) -> dict[str, Tensor]:
            return student.losses(*work, plan, update)

        works = list(zip(parts, answers, strict=True))
        frozen = self._prototypes() if at.epoch < self.settings.freeze_last_layer_epochs else []
        losses = update("dino", loss, works, frozen=frozen)
        momentum = teacher_momentum(
            at.global_step, self.settings.teacher_momentum, self.total_steps
        )
        follow(self.models, list(dict.fromkeys(self.ends.values())), momentum)
        move()
        return {"dino": losses.pop("loss"), **losses}

    def validation_step(self, batch: PairBatch) -> dict[str, Tensor]:
        """The teacher's embeddings, its answers, and the student's of the other modality."""
        batch = batch.augmented()
        vectors = {m: net(batch.crops[m][0]) for m, net in self.encoders().items()}
        logits = {m: self.models[f"teacher_head{self.ends[m]}"](x) for m, x in vectors.items()}
        told = {m: self._probabilities(m, x) for m, x in logits.items()}
        student = Student(self.settings, self.ends, self.models)
        temperature = self.settings.student_temperature
        losses = [
            dino_loss([student.logits(batch, s)[None]], [told[t]], [None], temperature)
            for plan in validation_plans(self.settings)
            for t, s in zip(plan.teacher, plan.student, strict=True)
        ]
        count = len(batch.ids)
        both = [told[m].double() for m in MODALITIES]
        return {
            "count": torch.tensor(float(count), dtype=torch.float64),
            "loss": count * torch.stack(losses).double().mean(),
            "entropy": torch.stack([entropy(p).sum() for p in both]).mean(),
            "answers": torch.stack(both).mean(0).sum(0),
            **self.evaluation.sums(batch, vectors),
        }

    def validation_result(self, sums: Mapping[str, Tensor]) -> Validation:
        """Loss, entropies, retrieval, and what a collapse would show."""
        count = float(sums["count"])
        own = float(sums["entropy"]) / count
        of_mean = float(entropy(sums["answers"] / count))
        scalars = {
            "loss": float(sums["loss"]) / count,
            "teacher_entropy": own,
            "mean_entropy": of_mean,
        }
        limits = self.settings.alarms
        alarms = teacher_entropy(
            own, of_mean, self.settings.head.prototypes, limits.teacher_entropy
        )
        compared = {m: sums[m] for m in MODALITIES}
        return self.evaluation.result(scalars, sums, compared, limits, alarms)

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
        """The teacher's network of each modality, whose forward pass gives the embedding."""
        return {m: self.models[f"teacher{end}"] for m, end in self.ends.items()}

    def _probabilities(self, modality: str, logits: Tensor) -> Tensor:
        """The teacher's of a validation, at its last temperature."""
        centre = self.models.get("centre")
        own = logits.new_zeros(logits.shape[1], dtype=torch.float32)
        if isinstance(centre, Centre):
            own = centre.of("classes", self.ends[modality])
        return centred(logits, own, self.settings.teacher_temperature.last)

    def _prototypes(self) -> list[nn.Parameter]:
        heads = [net for name, net in self.models.items() if name.startswith("student_head")]
        return [p for head in heads if isinstance(head, DinoHead) for p in head.last_layer()]
