"""The generator of a run: network, weights and scales of one checkpoint."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hpctrain.config.job import Job
from hpctrain.config.load import read_resolved
from hpctrain.config.task import FieldTraining
from hpctrain.config.training import Training
from hpctrain.data import Scales
from hpctrain.errors import CheckpointError, ConfigError
from hpctrain.models.planar import Planar
from hpctrain.predict.options import Weights
from hpctrain.tasks.super_resolution.networks import make_generator, on_fields
from hpctrain.train.checkpoint import CheckpointFolder, load
from hpctrain.train.ema import averages_of, put_averages
from hpctrain.train.stamps import checkpoint_facts

_GENERATOR = "generator"


def open_job(run_dir: Path) -> tuple[Job, FieldTraining]:
    """The job of a run; the user's own modules of the run can be imported from here on.

    Raises:
        ConfigError: no run directory, or a task that generates no fields.
    """
    if not (run_dir / "config.yaml").is_file():
        raise ConfigError(
            f"{run_dir}: no config.yaml in it; give a run directory that `hpctrain render` wrote"
        )
    own = str(run_dir.resolve() / "code" / "user")
    if own not in sys.path:
        sys.path.insert(0, own)
    job = read_resolved(run_dir / "config.yaml")
    if not isinstance(job.train, FieldTraining):
        raise ConfigError(
            f"{run_dir}: train.task is {job.train.task}, which makes no fields out of fields; "
            "allowed: super_resolution and field_to_field, and ink for segments"
        )
    return job, job.train


@dataclass(frozen=True)
class Trained:
    """What a checkpoint gives for prediction."""

    network: nn.Module
    """On volumes, evaluating, in float32 on the CPU."""
    meta: nn.Module
    """The same without weights, on torch's meta device."""
    scales: Scales
    settings: FieldTraining
    facts: Mapping[str, Any]
    """Fields of the stamp: checkpoint, its digest, epoch, global_step."""
    weights: str
    """Which were taken: `last` or `ema`."""
    precision: Mapping[str, Any]
    """That of the training."""
    channels: tuple[int, int]
    """Of input and output."""

    @property
    def is_planar(self) -> bool:
        """Whether it takes planes."""
        return isinstance(self.network, Planar)

    @property
    def inner(self) -> nn.Module:
        """The network on the meta device, as it was made: a planar one takes four axes."""
        found = self.meta.network if isinstance(self.meta, Planar) else self.meta
        assert isinstance(found, nn.Module)
        return found


def load_trained(
    settings: FieldTraining,
    path: Path,
    state: Mapping[str, Any],
    weights: Weights,
    style_size: int,
) -> Trained:
    """Make the generator of a checkpoint.

    Args:
        settings: the run's `train:` block.
        path: the checkpoint.
        state: what is in it.
        weights: last, ema, or auto: those that validations of the run judge.
        style_size: numbers in a style; 0: none.

    Raises:
        CheckpointError: it holds other networks.
    """
    try:
        scales = Scales.from_dict(state["task"]["scales"])
        state["models"][_GENERATOR]
    except (KeyError, TypeError) as e:
        raise CheckpointError(f"{path}: holds no generator and its scales (no {e})") from e
    channels = len(scales.for_inputs.names), len(scales.names)
    network = on_fields(make_generator(settings, *channels, style_size))
    with torch.device("meta"):
        meta = on_fields(make_generator(settings, *channels, style_size))
    kind = take_weights(network, _GENERATOR, path, state, settings, weights)
    return Trained(
        network.eval(),
        meta.eval(),
        scales,
        settings,
        checkpoint_facts(path, state),
        kind,
        state.get("precision") or {},
        channels,
    )


def take_weights(
    network: nn.Module,
    name: str,
    path: Path,
    state: Mapping[str, Any],
    settings: Training,
    weights: Weights,
) -> str:
    """Put a checkpoint's weights into a network; returns which: `last` or `ema`.

    Args:
        network: made as the run's `train:` block says.
        name: of the network in the checkpoint.
        path: the checkpoint.
        state: what is in it.
        settings: the run's `train:` block.
        weights: last, ema, or auto: those that validations of the run judge.

    Raises:
        CheckpointError: it holds another network.
    """
    averages = averages_of(state, name)
    kind = which_weights(weights, settings, has_averages=averages is not None, path=path)
    try:
        network.load_state_dict(state["models"][name])
        if kind == "ema" and averages is not None:
            put_averages(network, averages)
    except (RuntimeError, KeyError) as e:
        raise CheckpointError(
            f"{path}: holds another {name} network than config.yaml asks for "
            f"({str(e).splitlines()[0]}); put the run's train block back"
        ) from e
    return kind


def read_checkpoint(run_dir: Path, checkpoint: str | None) -> tuple[Path, dict[str, Any]]:
    """Path and content of a checkpoint.

    Args:
        run_dir: the run directory.
        checkpoint: name in checkpoints/, or a path; None: the newest whole one.

    Raises:
        CheckpointError: there is no such checkpoint, or it is not whole.
    """
    folder = CheckpointFolder(run_dir / "checkpoints", keep_last=1)
    if checkpoint is None:
        found = folder.load_newest()
        if found is None:
            raise CheckpointError(
                f"{run_dir}: has no checkpoint yet, so there is no network to take; train it first"
            )
        return folder.path / found[0], found[1]
    for path in (folder.path / checkpoint, Path(checkpoint)):
        if path.is_file():
            return path.resolve(), load(path.resolve())
    names = ", ".join(folder.names()) or "none"
    raise CheckpointError(
        f"--checkpoint: {checkpoint!r} is neither in {folder.path} nor a file; choose from {names}"
    )


def which_weights(weights: Weights, settings: Training, *, has_averages: bool, path: Path) -> str:
    """`last` or `ema`.

    Args:
        weights: what is asked for.
        settings: the run's `train:` block.
        has_averages: whether the checkpoint has those of this network.
        path: of the checkpoint.

    Raises:
        CheckpointError: averages are asked for, and there are none.
    """
    if weights == "ema" and not has_averages:
        raise CheckpointError(
            f"--weights: {path} holds no average of weights; take last, or train with train.ema"
        )
    if weights == "auto":
        is_judged = settings.ema is not None and settings.ema.validate_with
        return "ema" if has_averages and is_judged else "last"
    return weights
