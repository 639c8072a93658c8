"""What an embedding is made with: run, checkpoint, pictures and store, alike on all ranks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hpctrain.comm import Communicator
from hpctrain.config.job import Job
from hpctrain.config.load import read_resolved
from hpctrain.config.pair_data import PairModality, Pairs
from hpctrain.data.pairs import PairDataset, PairScales
from hpctrain.data.pairs.dataset import ALL
from hpctrain.embed.encoders import Encoders, has_averages, load_encoders
from hpctrain.embed.options import Options
from hpctrain.embed.store import Store, is_store
from hpctrain.embed.table import facts_of, rows_of, write_part
from hpctrain.embed.thumbs import thumb_shape
from hpctrain.embed.writer import make_store, make_thumbs, remove_store
from hpctrain.errors import CheckpointError, ConfigError
from hpctrain.index import read_index
from hpctrain.predict.arithmetic import precision_of, set_arithmetic
from hpctrain.predict.ranks import together
from hpctrain.predict.trained import read_checkpoint, which_weights
from hpctrain.tasks.pairs.samples import cache_folder
from hpctrain.train.precision import Precision
from hpctrain.train.stamps import checkpoint_facts

FOLDER = "embeddings"
"""Folder of a run that holds a store for each checkpoint."""


@dataclass(frozen=True)
class Ready:
    """All that one store is made with."""

    dataset: PairDataset
    encoders: Encoders
    store: Store
    precision: Precision
    facts: dict[str, Any]
    """Of the checkpoint, for the stamp."""


def open_pairs(run_dir: Path) -> tuple[Job, Pairs]:
    """The job of a run; the user's own modules of the run can be imported from here on.

    Raises:
        ConfigError: no run directory, or a task that learns from something else than pairs.
    """
    if not (run_dir / "config.yaml").is_file():
        raise ConfigError(
            f"{run_dir}: no config.yaml in it; give a run directory that `hpctrain render` wrote"
        )
    own = str(run_dir.resolve() / "code" / "user")
    if own not in sys.path:
        sys.path.insert(0, own)
    job = read_resolved(run_dir / "config.yaml")
    if not isinstance(job.data, Pairs):
        raise ConfigError(
            f"{run_dir}: train.task is {job.train.task}, which has no embeddings of pairs; "
            "allowed: runs of tasks vicreg and dino"
        )
    return job, job.data


def set_up(run_dir: Path, checkpoint: str | None, options: Options, comm: Communicator) -> Ready:
    """Read run and checkpoint on all ranks, and make the store on the first.

    Raises:
        ConfigError: options or a store that do not fit.
        CheckpointError: there is no such checkpoint, or it is of other networks.
        DataError: the index cannot be read.
    """

    def chosen() -> tuple[str, str] | None:
        if comm.rank:
            return None
        path, state = read_checkpoint(run_dir, checkpoint)
        return str(path), checkpoint_facts(path, state)["checkpoint_digest"]

    path, digest = comm.broadcast_object(together(comm, chosen))
    loaded = together(comm, lambda: load_checkpoint(run_dir, path, digest, options, comm.device))

    def made() -> None:
        if not comm.rank:
            _make(run_dir, options, loaded)

    together(comm, made)
    store = Store.open(_folder(run_dir, options, loaded.facts))
    return Ready(loaded.dataset, loaded.encoders, store, loaded.precision, loaded.facts)


@dataclass(frozen=True)
class Loaded:
    """Encoders and pictures of a checkpoint."""

    dataset: PairDataset
    encoders: Encoders
    precision: Precision
    facts: dict[str, Any]


def load_checkpoint(
    run_dir: Path, checkpoint: str, digest: str, options: Options, device: torch.device
) -> Loaded:
    """Read a checkpoint, and open the pictures that its encoders take.

    Args:
        run_dir: the run directory.
        checkpoint: name in checkpoints/, or a path.
        digest: that it must have.
        options: weights, precision, and the pictures' scale.
        device: that will compute.

    Raises:
        CheckpointError: it is another one, or of other networks.
    """
    job, pairs = open_pairs(run_dir)
    found, state = read_checkpoint(run_dir, checkpoint)
    facts = checkpoint_facts(found, state)
    if facts["checkpoint_digest"] != digest:
        raise CheckpointError(
            f"{found}: was replaced meanwhile; embed again, or copy it and name the copy with "
            "--checkpoint"
        )
    try:
        scales = PairScales.from_dict(state["task"]["scales"])
    except (KeyError, TypeError) as e:
        raise CheckpointError(f"{found}: is of no task on pairs (no {e})") from e
    dataset = PairDataset(
        scaled(pairs, options.scale),
        read_index(run_dir),
        ALL,
        job.train.seed,
        # a cache of the training holds its own size
        cache=cache_folder(pairs, run_dir) if options.scale == 1 else None,
        scales=scales,
        is_augmented=False,
    )
    channels = dataset.channels
    kind = which_weights(
        options.weights,
        job.train,
        has_averages=has_averages(state, list(channels), found),
        path=found,
    )
    sizes = {name: modality.crop for name, modality in pairs.modalities.items()}
    encoders = load_encoders(job.train, channels, sizes, found, state, kind)  # type: ignore[arg-type]
    first = next(iter(encoders.networks.values()))
    precision = precision_of(options.precision, state.get("precision") or {}, first)
    is_float32 = precision.name == "float32"
    set_arithmetic(device, is_float32=is_float32, is_deterministic=job.train.deterministic)
    return Loaded(dataset, encoders, precision, facts)


def scaled(pairs: Pairs, scale: float) -> Pairs:
    """The block for whole pictures that are decoded at another size.

    Args:
        pairs: the run's `data:` block.
        scale: of rows and columns.
    """
    if scale == 1:
        return pairs

    def sized(modality: PairModality) -> PairModality:
        size = modality.validation_size or modality.size
        larger = tuple(max(1, round(n * scale)) for n in size)
        return modality.model_copy(update={"size": larger, "validation_size": None})

    both = {name: sized(modality) for name, modality in pairs.modalities.items()}
    return pairs.model_copy(update={"modalities": pairs.modalities.model_copy(update=both)})


def _make(run_dir: Path, options: Options, loaded: Loaded) -> None:
    """The store, with all that is known of its rows."""
    folder, dataset = _folder(run_dir, options, loaded.facts), loaded.dataset
    if options.overwrite and is_store(folder):
        remove_store(folder)
    folder.mkdir(parents=True, exist_ok=True)
    columns = facts_of(dataset.rows[0].columns)
    sizes = {name: dataset.size(name) for name in dataset.channels}
    facts = {
        "run": run_dir.resolve().name,
        **loaded.facts,
        "weights": loaded.encoders.weights,
        "networks": dict(loaded.encoders.names),
        "precision": loaded.precision.name,
        "scale": options.scale,
        "sizes": {name: list(size) for name, size in sizes.items()},
    }
    dims, dtype = loaded.encoders.dims, options.dtype
    part = write_part(folder, columns, rows_of(dataset.rows, columns))
    try:
        store = make_store(folder, len(dataset), dims, dtype, facts, part)
    finally:
        part.unlink(missing_ok=True)
    shapes = {n: thumb_shape(*sizes[n], c) for n, c in dataset.channels.items()}
    make_thumbs(store, shown_rows(dataset.sources, options.thumbs), shapes)


def shown_rows(ids: Sequence[str], most: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Rows that have thumbnails: drawn alike for all checkpoints of the same samples."""
    if len(ids) <= most:
        return np.arange(len(ids))
    return np.sort(np.random.default_rng(0).choice(len(ids), most, replace=False))


def _folder(run_dir: Path, options: Options, facts: dict[str, Any]) -> Path:
    scale = "" if options.scale == 1 else f"_x{options.scale:g}"
    return options.out or run_dir / FOLDER / f"{Path(str(facts['checkpoint'])).stem}{scale}"
