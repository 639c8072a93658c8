"""Models, optimizers and their updates, made once at the start of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from hpctrain.comm import Communicator
from hpctrain.comm.batch_norm import synchronise
from hpctrain.comm.buffers import SharedBuffers
from hpctrain.config.training import Training
from hpctrain.log import logger
from hpctrain.train.compiling import compile_models
from hpctrain.train.ema import Ema
from hpctrain.train.faults.nonfinite import Remedy
from hpctrain.train.phases import Phase
from hpctrain.train.precision import Precision
from hpctrain.train.recompute import checkpoint_activations
from hpctrain.train.scaling import LossScalers
from hpctrain.train.schedule import LearningRates
from hpctrain.train.setup import choose_precision
from hpctrain.train.task import Data, Task
from hpctrain.train.update import Update


@dataclass(frozen=True)
class Built:
    """What learns; the models themselves are the task's."""

    precision: Precision
    optimizers: dict[str, Optimizer]
    update: Update
    rates: LearningRates
    ema: Ema | None
    remedy: Remedy
    buffers: SharedBuffers
    mark: Callable[[Phase], None]

    def before_step(self) -> None:
        """Begin a step with the same state on all ranks; all must call."""
        if self.buffers.share():
            self.mark("communication")

    def after_step(self, losses: Mapping[str, Tensor], weight: float) -> None:
        """Take in one step; see `Meter.add` for the arguments."""
        self.rates.observe(losses, weight)
        if self.ema:
            self.ema.step()

    def now(self) -> dict[str, float]:
        """Numbers for the log: rates, a weight decay that changes, in float16 scales of losses."""
        rates = {f"learning_rate/{name}": rate for name, rate in self.rates.now().items()}
        decay = self.rates.decay_now()
        if decay is not None:
            rates["weight_decay"] = decay
        return {**rates, **(self.update.scalers.now() if self.update.scalers else {})}

    @contextmanager
    def for_validation(self) -> Iterator[None]:
        """Around validation and figures: the weights that are to be judged; all ranks must call."""
        with self.ema.for_validation() if self.ema else nullcontext():
            self.buffers.share()
            yield

    def save(self) -> dict[str, Any]:
        """What a checkpoint holds beside models and optimizers; all ranks must call."""
        scalers = self.update.scalers
        return {
            "precision": asdict(self.precision),
            "rates": self.rates.save(),
            "ema": self.ema.save() if self.ema else None,
            "scalers": scalers.save() if scalers else None,
            "non_finite": self.remedy.save(),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Put back what `save` returned, after the models themselves."""
        self.rates.restore(saved.get("rates"))
        self.remedy.restore(saved.get("non_finite"))
        self.rates.scale = self.remedy.counts.rate_factor
        if self.ema:
            self.ema.restore(saved.get("ema"))
        if self.update.scalers:
            self.update.scalers.restore(saved.get("scalers"))


def build(
    task: Task,
    comm: Communicator,
    data: Data,
    total_steps: int,
    saved_precision: Mapping[str, Any] | None,
    mark: Callable[[Phase], None],
) -> Built:
    """Make everything that learns, equal on all ranks.

    Args:
        task: gets its models.
        comm: the other ranks, which take rank 0's first weights.
        data: samples for the probe of precisions.
        total_steps: steps of the whole run.
        saved_precision: that of the checkpoint which the run goes on from.
        mark: told what each part of a step was.
    """
    settings = task.job.train
    models = task.build_models()
    for model in models.values():
        model.to(comm.device)
    task.models = models
    if settings.activation_checkpointing:
        checkpoint_activations(models)
    precision = _saved(saved_precision, settings) or choose_precision(task, settings, comm, data)
    if comm.rank == 0:
        logger.info("precision %s (%s)", precision, precision.reason)
    comm.broadcast(t.data for m in models.values() for t in (*m.parameters(), *m.buffers()))
    if settings.sync_batch_norm:  # after the probe, in which every rank goes its own way
        task.models = models = {name: synchronise(m, comm) for name, m in models.items()}
    precision.apply_layout(models)
    if settings.compile:
        compile_models(models, task.compilable(), comm.device)
    optimizers = task.build_optimizers(models)
    update = Update(
        comm,
        optimizers,
        accumulate=settings.accumulate,
        clip_grad_norm=settings.clip_grad_norm,
        autocast=precision.autocast(comm.device),
        scalers=LossScalers(optimizers, comm.device) if precision.is_float16 else None,
        mark=mark,
        reduction=settings.reduction,
        refuses_non_finite=settings.non_finite.policy != "stop",
    )
    rates = LearningRates(settings.schedule, optimizers, total_steps, comm)
    ema = Ema(settings.ema, models) if settings.ema else None
    remedy = Remedy(settings.non_finite, comm, data)
    buffers = SharedBuffers(comm, models.values())
    return Built(precision, optimizers, update, rates, ema, remedy, buffers, mark)


def _saved(values: Mapping[str, Any] | None, settings: Training) -> Precision | None:
    """The precision of a checkpoint, unless the job asks for another."""
    precision = Precision(**values) if values else None
    asked = (settings.precision, settings.memory_format)
    if precision is None or any(
        one not in ("auto", own)
        for one, own in zip(asked, (precision.name, precision.memory_format), strict=True)
    ):
        return None
    return precision
