"""Real trainings on small sky pictures: VICReg and DINO; ranks agree, kills lose nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hpctrain.embed.store import Store
from tests.e2e.commands import hpctrain
from tests.integration.mpi.test_resume import assert_equal_bits, ranks_of
from tests.integration.mpi.test_scrolls import scalars
from tests.requires import requires
from tests.runs import SmallRun, newest, wait_until
from tests.unit.tasks.test_pair_weights import saved_vit

pytestmark = pytest.mark.slow

ROOT = "data/sky/train"
MODALITY = {"size": [24, 32], "crop": [16, 24]}
JOB: dict[str, Any] = {
    "name": "pairs",
    "site": "local",
    "resources": {"nodes": 1, "ranks_per_node": 2, "walltime": "00:10:00"},
    "launch": {"comm": "ddp"},
    "data": {
        "kind": "pairs",
        "root": ROOT,
        "index": f"{ROOT}/index.csv",
        "modalities": {
            "rgb": {"channels": "rgb", **MODALITY},
            "ir": {"channels": "temperature", **MODALITY},
        },
        "workers": 0,
    },
    "train": {
        "task": "vicreg",
        "epochs": 2,
        "global_batch_size": 8,
        "precision": "float32",
        "log_every_steps": 1,
        "backbone": {"kind": "vit", "size": "tiny", "depth": 1, "patch_size": 8, "drop_path": 0.2},
        "expander": [32, 32],
        "watch": {"samples": 6, "column": "view", "neighbours": 2},
        "optimizer": {"name": "SGD", "learning_rate": 0.01, "weight_decay": 0.01},
    },
}
DIMS = {"resnet": 512, "transformers": 24}
ALONE = ("resources.ranks_per_node=1", "launch.comm=single")


def dino_job() -> dict[str, Any]:
    """Both modalities, with small crops, hidden patches, and everything that moves by step."""
    modalities = {
        name: {"channels": channels, **MODALITY, "local_crop": [8, 8]}
        for name, channels in (("rgb", "rgb"), ("ir", "temperature_bins"))
    }
    data = {
        **JOB["data"],
        "root": f"../{ROOT}",
        "index": f"../{ROOT}/index.csv",
        "modalities": modalities,
        "thermal": {"bins": {"quantiles": [0, 0.3, 0.7, 1]}},
        "views": {"count": 2, "local_count": 2},
    }
    train = {key: value for key, value in JOB["train"].items() if key != "expander"}
    train |= {
        "task": "dino",
        "strategy": "joint",
        "epochs": 4,
        "head": {"prototypes": 32, "hidden": 16, "bottleneck": 8},
        "teacher_temperature": {"first": 0.04, "last": 0.07, "warmup_steps": 4},
        "teacher_momentum": 0.9,
        "koleo_weight": 0.1,
        "masking": {"weight": 0.5},
        "optimizer": {"name": "AdamW", "learning_rate": 1e-3, "weight_decay": 0.04},
        "schedule": {"kind": "cosine", "warmup_steps": 2, "final_weight_decay": 0.4},
        "clip_grad_norm": 3.0,
        "checkpoints": {"keep_last": 100},
    }
    return {**JOB, "name": "dino", "data": data, "train": train}


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    folder = tmp_path_factory.mktemp("sky")
    for words in (
        ("sample", "sky", "--scenes", "24", "--size", "150,50", "--bad", "0"),
        ("index", "build", ROOT, "--rule", "sage"),
        ("index", "split", ROOT, "--by", "id:(.*)", "--validation", "7"),
    ):
        done = hpctrain(*words, cwd=folder)
        assert done.returncode == 0, done.stderr
    (folder / "small.yaml").write_text(yaml.safe_dump(JOB, sort_keys=False))
    return SmallRun(folder)


@pytest.fixture(scope="module")
def dino(sky: SmallRun) -> SmallRun:
    desk = sky.folder / "dino"
    desk.mkdir()
    (desk / "small.yaml").write_text(yaml.safe_dump(dino_job(), sort_keys=False))
    return SmallRun(desk)


def agree(one: Path, two: Path) -> None:
    """A bias before a BatchNorm has no slope but that of rounding, so that it has no own size."""
    expected, found = newest(one), newest(two)
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        distance = torch.linalg.vector_norm((found[key] - value).double())
        assert distance <= 5e-4 * torch.linalg.vector_norm(value.double()) + 1e-7, key


def tell_the_same(one: Path, two: Path) -> dict[str, float]:
    first, second = scalars(one), scalars(two)
    assert first.keys() == second.keys() >= {"loss", "r1_rgb_to_ir", "knn_ir", "std_rgb"}
    for key in first.keys() - {"kind", "time"}:
        assert first[key] == pytest.approx(second[key], rel=2e-3, abs=1e-5), key
    return second


@requires(mpi=True)
def test_vicreg__one_and_two_ranks_agree_and_tell_the_same(sky: SmallRun) -> None:
    one, two = sky.finished(*ALONE), sky.finished()
    agree(one, two)
    found = tell_the_same(one, two)
    names = {name.split(".")[0] for name in newest(two)}
    assert names == {"backbone_rgb", "backbone_ir", "expander_rgb", "expander_ir"}
    best = json.loads((two / "checkpoints" / "best.json").read_text())
    assert best["value"] <= found["loss"] * (1 + 1e-6)  # the summary keeps seven digits
    events = EventAccumulator(str(two / "tensorboard"))
    events.Reload()
    assert {"pair_likeness", "embedding_spectrum"} <= set(events.Tags()["images"])
    page = json.loads((two / "eval" / "summary.json").read_text())
    assert page["chance"]["r1"] == pytest.approx(1 / 6)


@requires(mpi=True, horovod=True)
def test_vicreg__four_ranks_end_with_the_parameters_of_one(sky: SmallRun) -> None:
    # with half the batch rounding grows to parts in a hundred: BatchNorm of nearly equal rows
    gentle = ("train.global_batch_size=16", "train.epochs=4", "train.optimizer.learning_rate=0.003")
    one = sky.finished(*ALONE, *gentle)
    four = ("resources.ranks_per_node=4", "launch.comm=horovod")
    many = sky.finished(*four, *gentle)
    assert "--oversubscribe" in (many / "run.sh").read_text()
    assert json.loads((many / "state.json").read_text())["world_size"] == 4
    agree(one, many)
    tell_the_same(one, many)
    began = torch.load(one / "checkpoints" / "state_2.pt", weights_only=True)["models"]
    for name, value in began["expander_ir"].items():
        if value.ndim == 2:  # it has learned much more than the tolerance
            far = torch.linalg.vector_norm(newest(one)[f"expander_ir.{name}"] - value)
            assert far > 2e-3 * torch.linalg.vector_norm(value), name


@requires(mpi=True)
@pytest.mark.parametrize("kind", ["resnet", "transformers"])
def test_vicreg__other_backbones_train_go_on_and_embed(
    sky: SmallRun, tmp_path: Path, kind: str
) -> None:
    """ResNet-18, and a saved model of transformers whose folder is gone after the first start."""
    plain: dict[str, Any] = {"kind": "resnet", "depth": 18, "stem": "3x3"}
    own = plain
    if kind == "transformers":
        pytest.importorskip("transformers")
        folder = str(saved_vit(tmp_path / "weights"))
        own = {"kind": "transformers", "model": "ViTModel", "weights": folder}
    data = {**JOB["data"], "root": f"../{ROOT}", "index": f"../{ROOT}/index.csv"}
    train = {**JOB["train"], "epochs": 4, "backbone": own, "ir_backbone": plain}
    train["checkpoints"] = {"every_steps": 1, "keep_last": 100}
    desk = SmallRun(sky.folder / kind)
    desk.folder.mkdir()
    page = {**JOB, "data": data, "train": train}
    (desk.folder / "small.yaml").write_text(yaml.safe_dump(page, sort_keys=False))
    whole = desk.finished()
    killed = desk.render(desk.unique("killed"))
    process = desk.start(killed)
    wait_until(lambda: (killed / "checkpoints" / "state_0_step_1.pt").exists())
    os.kill(ranks_of(killed)[1], signal.SIGKILL)
    assert process.wait(timeout=60) not in (0, 75)
    wait_until(lambda: not ranks_of(killed), 60)
    shutil.rmtree(tmp_path / "weights", ignore_errors=True)
    assert "resuming from state_" in desk.finish(killed)
    assert_equal_bits(whole, killed)
    done = hpctrain("embed", str(killed), cwd=desk.folder)
    assert done.returncode == 0, done.stderr
    (place,) = (path.parent for path in (killed / "embeddings").glob("*/store.json"))
    store = Store.open(place)
    assert store.dims == {"rgb": DIMS[kind], "ir": 512, "rgb_expanded": 32, "ir_expanded": 32}
    for name in store.dims:
        vectors = store.branch(name)[:]
        assert len(vectors) == 24
        assert vectors.std(0).max() > 1e-3


@requires(mpi=True)
def test_dino__one_and_two_ranks_have_one_teacher_and_centre(dino: SmallRun) -> None:
    one, two = dino.finished(*ALONE), dino.finished()
    agree(one, two)
    assert "teacher_entropy" in tell_the_same(one, two)
    weights = newest(two)
    assert {"teacher", "teacher_head", "centre"} <= {name.split(".")[0] for name in weights}
    assert weights["centre.classes"].abs().max() > 0
    assert weights["centre.patches"].abs().max() > 0
    lines = (two / "logs" / "metrics.jsonl").read_text().splitlines()
    decays = [m["weight_decay"] for m in map(json.loads, lines) if m["kind"] == "train"]
    assert decays == sorted(decays)
    assert 0.04 <= decays[0] < 0.06 < 0.3 < decays[-1] < 0.4


@requires(mpi=True)
def test_dino__killed_goes_on_bit_by_bit(dino: SmallRun) -> None:
    whole = dino.finished()
    killed = dino.render(dino.unique("killed"), "train.checkpoints.every_steps=1")
    process = dino.start(killed)
    wait_until(lambda: (killed / "checkpoints" / "state_1_step_1.pt").exists())
    os.kill(ranks_of(killed)[1], signal.SIGKILL)
    assert process.wait(timeout=60) not in (0, 75)
    wait_until(lambda: not ranks_of(killed), 60)
    assert "resuming from state_" in dino.finish(killed)
    assert_equal_bits(whole, killed)


@requires(mpi=True)
def test_dino__a_longer_schedule_is_refused_and_on_request_drawn(dino: SmallRun) -> None:
    run = dino.render(dino.unique("longer"), *ALONE)
    dino.finish(run)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("epochs: 4\n", "epochs: 5\n", 1))
    text = dino.finish(run, expected=6)
    assert "epochs 4 -> 5" in text
    command = [sys.executable, "-m", "hpctrain.train", str(run), "--allow-schedule-change"]
    env = {**os.environ, "PYTHONPATH": str(run / "code"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "the schedule was changed: epochs 4 -> 5" in done.stderr
    figure = run / "eval" / "figures" / "epoch_0004_schedule_change.png"
    assert figure.read_bytes()[1:4] == b"PNG"
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert "schedule_change" in events.Tags()["images"]
