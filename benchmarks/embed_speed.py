"""`hpctrain embed`'s loop against a bare loop over the same pictures and networks, in one run.

    python benchmarks/embed_speed.py [--pairs N] [--rounds N] [--threads N]

The bare loop is what one writes by hand: decode a batch, both encoders in inference mode, keep the
vectors in memory; nothing is written, checked or noted. Pictures are of the sky sample, networks
those of jobs/vicreg.yaml with random weights. Rounds are interleaved and medians compared; a ratio
above 1 means that ours is faster. Vectors must be equal.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from hpctrain.config.backbone import VitBackbone
from hpctrain.config.pair_data import Pairs
from hpctrain.data.pairs import PairDataset
from hpctrain.data.sampler import Share
from hpctrain.embed.encoders import Encoders
from hpctrain.embed.store import Store
from hpctrain.embed.table import write_rows
from hpctrain.embed.work import Work
from hpctrain.embed.writer import Writer, make_store
from hpctrain.index.store import load_index
from hpctrain.models.backbones import make_backbone
from hpctrain.samples.sky import write_sample
from hpctrain.train.precision import Precision

BATCH = 32
PAGE = {
    "kind": "pairs",
    "index": "",
    "modalities": {
        "rgb": {"channels": "rgb", "size": [96, 128], "crop": [72, 96]},
        "ir": {"channels": "temperature", "size": [96, 128], "crop": [72, 96]},
    },
}


def bare(dataset: PairDataset, encoders: Encoders) -> dict[str, np.ndarray]:
    """Vectors of all pairs."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in encoders.networks}
    for start in range(0, len(dataset), BATCH):
        ids = tuple(range(start, min(start + BATCH, len(dataset))))
        batch = dataset.read_batch(Share(0, 0, ids, len(ids)))
        with torch.inference_mode():
            for name, network in encoders.networks.items():
                found[name].append(network(batch.crops[name][0]).numpy())
    return {name: np.concatenate(own) for name, own in found.items()}


def ours(dataset: PairDataset, encoders: Encoders, folder: Path, threads: int) -> Store:
    """The same into a store."""
    folder.mkdir()
    write_rows(folder, ("id",), ([row.id] for row in dataset.rows))
    store = make_store(folder, len(dataset), encoders.dims, "float32", {})
    precision = Precision("float32", "asked for")
    device = torch.device("cpu")
    work = Work(dataset, encoders, device, precision, batch_size=BATCH, threads=threads)
    with Writer(store, 0) as writer:
        work.run([(0, len(dataset))], writer)
    return store


def main() -> int:
    """Print the table; exit 1 where vectors differ or the ratio is below 0.95."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as name:
        return _compare(Path(name), options)


def _compare(folder: Path, options: argparse.Namespace) -> int:
    write_sample(folder / "sky", scenes=options.pairs, nodes=2, size=(240, 80), bad=0)
    build = ("index", "build", str(folder / "sky" / "train"), "--rule", "sage")
    subprocess.run([sys.executable, "-m", "hpctrain", *build], check=True, capture_output=True)
    index = load_index(folder / "sky" / "train")
    dataset = PairDataset(Pairs.model_validate(PAGE), index, "all", 0, is_augmented=False)
    sizes = {"rgb": (16, 3), "ir": (8, 1)}
    networks = {
        name: make_backbone(
            VitBackbone(size="tiny", depth=4, patch_size=patch), channels, (72, 96)
        ).eval()
        for name, (patch, channels) in sizes.items()
    }
    encoders = Encoders(networks, {name: name for name in networks}, "last")
    clocks: dict[str, list[tuple[float, float]]] = {"bare": [], "ours": []}
    for number in range(options.rounds):
        begin = time.perf_counter(), time.process_time()
        expected = bare(dataset, encoders)
        middle = time.perf_counter(), time.process_time()
        store = ours(dataset, encoders, folder / f"store{number}", options.threads)
        end = time.perf_counter(), time.process_time()
        clocks["bare"].append((middle[0] - begin[0], middle[1] - begin[1]))
        clocks["ours"].append((end[0] - middle[0], end[1] - middle[1]))
    is_equal = all(
        np.allclose(store.branch(name)[:], own, rtol=1e-4, atol=1e-5)
        for name, own in expected.items()
    )
    medians = {
        side: [statistics.median(c) for c in zip(*own, strict=True)] for side, own in clocks.items()
    }
    print(f"{len(dataset)} pairs, {options.threads} threads: pairs/s, pairs per CPU second")
    for side, (wall, cpu) in medians.items():
        print(f"  {side:5} {len(dataset) / wall:8.1f} {len(dataset) / cpu:8.1f}")
    ratios = [medians["bare"][i] / medians["ours"][i] for i in range(2)]
    print(f"  ratio {ratios[0]:8.2f} {ratios[1]:8.2f}; vectors {'equal' if is_equal else 'DIFFER'}")
    return 0 if is_equal and ratios[0] >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
