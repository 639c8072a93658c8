"""Attention of a run's encoders on some of its pictures, at any size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hpctrain.analysis.embeddings.attention import Looked, attention_sheet
from hpctrain.data.pairs import PairDataset
from hpctrain.data.sampler import Share
from hpctrain.embed.options import Options
from hpctrain.embed.setup import load_checkpoint
from hpctrain.embed.store import Store
from hpctrain.embed.thumbs import to_bytes
from hpctrain.evaluate.embeddings.drawn import save
from hpctrain.models.rollout import rollout
from hpctrain.models.vit import VisionTransformer
from hpctrain.provenance import Stamp, embed

NAME = "attention"


def draw_attention(
    run_dir: Path,
    store: Store,
    folder: Path,
    stamp: Stamp,
    count: int,
    say: Callable[[str], None] = lambda _: None,
) -> list[tuple[str, Path]]:
    """Draw a sheet for each modality, and keep the maps in `attention.npz`.

    Encoders that are no vision transformers have none.

    Args:
        run_dir: of the store.
        store: whose checkpoint, weights and size of pictures are taken.
        folder: where to.
        stamp: of the evaluation.
        count: of pictures, spread evenly over the rows.
        say: takes a line about an encoder without attention.

    Returns:
        Titles and PNG files.

    Raises:
        CheckpointError: the checkpoint is not there any more, or another one.
    """
    facts = store.facts
    options = Options(weights=facts["weights"], scale=float(facts.get("scale", 1.0)))
    loaded = load_checkpoint(
        run_dir, facts["checkpoint"], facts["checkpoint_digest"], options, torch.device("cpu")
    )
    numbers = np.unique(np.linspace(0, store.num_rows - 1, min(count, store.num_rows)).astype(int))
    drawn: list[tuple[str, Path]] = []
    maps: dict[str, Any] = {}
    for name, network in loaded.encoders.networks.items():
        if not isinstance(network, VisionTransformer):
            say(f"{name}: {type(network).__name__} has no attention to draw")
            continue
        looked = [look(network, loaded.dataset, name, int(i)) for i in numbers]
        maps |= {f"{name}/heads": np.stack([own.heads for own in looked])}
        maps |= {f"{name}/rollout": np.stack([own.rollout for own in looked])}
        size = " x ".join(map(str, looked[0].picture.shape[:2]))
        title = f"attention of {name}, last block, pictures of {size}"
        path = save(attention_sheet(looked, title), folder / f"{NAME}_{name}.png", stamp)
        drawn.append((f"Attention of {name}", path))
    if maps:
        np.savez(folder / f"{NAME}.npz", rows=numbers, **maps)
        embed(folder / f"{NAME}.npz", stamp)
    return drawn


@torch.no_grad()
def look(network: nn.Module, dataset: PairDataset, modality: str, number: int) -> Looked:
    """Where an encoder looks in one picture.

    Args:
        network: a vision transformer that evaluates.
        dataset: whole pictures.
        modality: which of a pair's.
        number: of the pair.
    """
    assert isinstance(network, VisionTransformer)
    batch = dataset.read_batch(Share(0, 0, (number,), 1)).augmented()
    x: Tensor = batch.crops[modality][0]
    grid = network.grid(x.shape[2:])
    return Looked(
        dataset.sample_name(number),
        to_bytes(x)[0],
        network.cls_attention(x)[0].reshape(-1, *grid).numpy(),
        rollout(network, x)[0].reshape(grid).numpy(),
    )
