"""What encoders of sky pictures and thermal frames know after a bounded training, on held-out days.

    python benchmarks/quality_pairs.py [--minutes 15] [--scenes 640] [--methods vicreg,dino,control]

Writes the sample `sky`, holds out days of each camera, and trains on one rank in equal shares of
the time: VICReg and DINO on RGB and temperature, and VICReg on RGB and the same picture in grey
(`control`: what is found without the thermal camera). Then on the held-out pairs:

- R@1 across modalities: whose thermal frame is nearest to an optical picture, and the reverse
  (VICReg by the vectors behind its expanders, which are what its loss makes alike);
- day or night: 20 nearest neighbours among the training pairs vote, for each encoder; the share of
  right votes is the mean over both classes, and dusk is left out.

Rivals are principal components of the pixels: of both modalities at once (grey and temperature as
one kind of picture), and of each with a least-squares map from one to the other; and chance.
Embeddings and rivals are judged by the same functions. One seed; shares have confidence limits.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hpctrain.analysis.embeddings.neighbours import nearest
from hpctrain.analysis.embeddings.retrieval import confidence, find_twins
from hpctrain.config.load import read_resolved
from hpctrain.data.pairs import PairDataset
from hpctrain.data.sampler import Share
from hpctrain.embed.store import EXPANDED, Store
from hpctrain.index.read import read_index
from hpctrain.samples.sky import write_sample

ROOT = Path(__file__).parents[1]
SIZE, CROP = [48, 64], [40, 48]
METHODS = {"vicreg": "vicreg", "dino": "dino", "control": "vicreg"}
COMPONENTS, VOTES, TEMPERATURE = 64, 20, 0.07
STOPPED = 75
"""Exit code of a training that was asked to stop."""
Both = dict[str, np.ndarray]


def hpctrain(folder: Path, *words: str) -> None:
    """Run a command of hpctrain; its output is shown where it fails."""
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    }
    done = subprocess.run(
        [sys.executable, "-m", "hpctrain", *words],
        cwd=folder, env=env, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"hpctrain {' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def prepare(folder: Path, scenes: int) -> None:
    """Sample, index and splits."""
    write_sample(folder / "data" / "sky", scenes, size=(300, 100), bad=0)
    root = "data/sky/train"
    hpctrain(folder, "index", "import", root, "--rule", "data/sky/rule.yaml")
    hpctrain(folder, "index", "split", root, "--by", "node", "--by", "day", "--validation", "0.25")


def write_job(folder: Path, method: str, threads: int) -> None:
    """The shipped job on one rank with small pictures."""
    job: dict[str, Any] = yaml.safe_load((ROOT / "jobs" / f"{METHODS[method]}.yaml").read_text())
    job |= {"name": method, "site": "local", "launch": {"comm": "single"}}
    job["resources"] = {
        "nodes": 1, "ranks_per_node": 1, "cpus_per_rank": threads, "walltime": "02:00:00",
    }  # fmt: skip
    modalities = job["data"]["modalities"]
    for modality in modalities.values():
        modality |= {"size": SIZE, "crop": CROP}
        if "local_crop" in modality:
            modality["local_crop"] = [24, 24]
    if method == "control":
        modalities["ir"]["channels"] = "grey"
    train = job["train"]
    train |= {"epochs": 400, "sync_batch_norm": False, "figures_every_epochs": 0}
    train |= {"global_batch_size": 64, "validate_every_epochs": 20}
    train["backbone"] = {"kind": "vit", "size": "tiny", "patch_size": 8, "depth": 4}
    train["checkpoints"] = {"every_epochs": 20, "keep_last": 1, "best": None}
    if method == "dino":
        train["share_backbone"] = True
    else:
        train["ir_backbone"] = None
    (folder / f"{method}.yaml").write_text(yaml.safe_dump(job))


def train(folder: Path, method: str, threads: int, seconds: float) -> Path:
    """Train for so long and embed all pairs; returns the run."""
    hpctrain(folder, "render", f"{method}.yaml")
    run = folder / "jobs" / method
    env = os.environ | {"OMP_NUM_THREADS": str(threads)}
    with (folder / f"{method}.txt").open("w") as out:
        process = subprocess.Popen([run / "run.sh"], cwd=folder, env=env, stdout=out, stderr=out)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            (run / "STOP").touch()
            process.wait(timeout=300)
    if process.returncode not in (0, STOPPED):
        raise SystemExit((folder / f"{method}.txt").read_text()[-3000:])
    hpctrain(folder, "embed", str(run))
    return run


def embedded(run: Path) -> tuple[Both, Both, list[str]]:
    """Vectors of all pairs by modality, those that modalities are compared by, and ids."""
    (place,) = (path.parent for path in (run / "embeddings").glob("*/store.json"))
    store = Store.open(place)
    rows = slice(0, store.num_rows)
    own = {n: np.asarray(store.branch(n)[rows], np.float32) for n in store.dims}
    vectors = {m: own[m] for m in ("rgb", "ir")}
    # separate networks of VICReg are alike behind their expanders alone
    compared = {m: own.get(f"{m}{EXPANDED}", x) for m, x in vectors.items()}
    return vectors, compared, list(store.table.column("id"))


def pixels(run: Path) -> Both:
    """Whole pictures as rows, grey and temperature; each pixel has mean 0 and deviation 1."""
    pairs = read_resolved(run / "config.yaml").data
    both = pairs.modalities.model_copy(
        update={"rgb": pairs.modalities.rgb.model_copy(update={"channels": "grey", "mean": None})}
    )
    pairs = pairs.model_copy(update={"modalities": both})
    dataset = PairDataset(pairs, read_index(run), "all", 0)
    ids = tuple(range(len(dataset)))
    batch = dataset.read_batch(Share(0, 0, ids, len(ids)))
    found = {m: batch.crops[m][0].flatten(1).numpy() for m in ("rgb", "ir")}
    return {m: (x - x.mean(0)) / (x.std(0) + 1e-6) for m, x in found.items()}


def components(x: np.ndarray, learnt: np.ndarray, count: int = COMPONENTS) -> np.ndarray:
    """The first principal components of rows that were learnt from, as columns."""
    own = x[learnt] - x[learnt].mean(0)
    return np.linalg.svd(own, full_matrices=False)[2][:count].T


def rivals(pictures: Both, learnt: np.ndarray) -> dict[str, Both]:
    """What principal components make of the same pictures."""
    joint = components(np.concatenate(list(pictures.values())), np.tile(learnt, 2))
    one = {m: x @ joint for m, x in pictures.items()}
    own = {m: x @ components(x, learnt) for m, x in pictures.items()}
    there, *_ = np.linalg.lstsq(own["ir"][learnt], own["rgb"][learnt], rcond=None)
    return {"PCA of both": one, "PCA, mapped": {"rgb": own["rgb"], "ir": own["ir"] @ there}}


def judge(
    vectors: Both, compared: Both, learnt: np.ndarray, daylight: np.ndarray
) -> dict[str, float]:
    """R@1 both ways among held-out pairs, and the share of right votes on day and night."""
    held = np.flatnonzero(~learnt)
    own = {m: x[held] - x[learnt].mean(0) for m, x in vectors.items()}
    x, y = (compared[m][held] - compared[m][learnt].mean(0) for m in ("rgb", "ir"))
    queries = np.arange(len(held))
    found = {
        "rgb to ir": find_twins(x, y, queries).recall(1),
        "ir to rgb": find_twins(y, x, queries).recall(1),
    }
    for m, x in vectors.items():
        near, which = nearest(own[m], x - x[learnt].mean(0), learnt & (daylight >= 0), VOTES)
        weight = np.exp(near / TEMPERATURE)
        votes = [(weight * (daylight[which] == c)).sum(1) for c in (0, 1)]
        truth, right = daylight[held], np.argmax(votes, 0) == daylight[held]
        found[f"day, {m}"] = float(
            np.mean([right[truth == c].mean() for c in np.unique(truth[truth >= 0])])
        )
    return found


def main() -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--scenes", type=int, default=640)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    methods, began = given.methods.split(","), time.time()
    with tempfile.TemporaryDirectory(prefix="quality-pairs-") as scratch:
        folder = Path(scratch)
        prepare(folder, given.scenes)
        table: dict[str, dict[str, float]] = {}
        for n, method in enumerate(methods):
            write_job(folder, method, given.threads)
            left = given.minutes * 60 - (time.time() - began) - 20
            run = train(folder, method, given.threads, left / (len(methods) - n) - 15)
            vectors, compared, ids = embedded(run)
            rows = {row.id: row for row in read_index(run).rows}
            learnt = np.array([rows[i].split == "train" for i in ids])
            kinds = {"night": 0, "day": 1}
            daylight = np.array([kinds.get(rows[i]["daylight"], -1) for i in ids])
            if not table:
                held = int((~learnt).sum())
                print(f"{learnt.sum()} pairs to learn from, {held} held out", flush=True)
                classes = len(np.unique(daylight[~learnt & (daylight >= 0)]))
                table["chance"] = {"rgb to ir": 1 / held, "ir to rgb": 1 / held}
                table["chance"] |= {f"day, {m}": 1 / classes for m in ("rgb", "ir")}
                for name, own in rivals(pixels(run), learnt).items():
                    table[name] = judge(own, own, learnt, daylight)
            table[method] = judge(vectors, compared, learnt, daylight)
    columns = list(table["chance"])
    print(f"{'':16}" + "".join(f"{name:>20}" for name in columns))
    for name, found in table.items():
        cells = []
        for column in columns:
            low, high = confidence(found[column], held)
            cells.append(f"{found[column]:.3f} ({low:.2f}-{high:.2f})")
        print(f"{name:16}" + "".join(f"{cell:>20}" for cell in cells))
    print(f"{(time.time() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
