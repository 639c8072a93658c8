"""Jobs on pairs from data to evaluation on two ranks: shipped ones, and real pictures.

Networks, crops and batches of the shipped jobs are as shipped; pictures are fewer, and epochs two.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from hpctrain.config.pair_data import CAMERA_MARGINS
from hpctrain.embed.store import Store
from hpctrain.formats.mobotix import read_values
from tests.e2e.commands import hpctrain, run_script, state
from tests.integration.mpi.test_pairs import JOB, dino_job
from tests.requires import SHARED_DATA, find_mpirun, requires

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200), requires(mpi=True)]

TASKS = ("vicreg", "dino")
MINUTES = 540.0
"""Most seconds of a command, on a machine that others use too."""
TRI2I = SHARED_DATA / "rgbt_pairs" / "tri2i"
RECOVERED = SHARED_DATA / "sage" / "recovered"
NS = 1_678_309_118_000_000_000
ROWS, COLUMNS = 4, 6
"""Of the tiles of a frame."""


def ok(*words: str, cwd: Path) -> str:
    done = hpctrain(*words, cwd=cwd, timeout=MINUTES)
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


def trained(desk: Path, name: str, *settings: str) -> Path:
    """Render, run, and embed on two ranks; returns the run."""
    words = [word for setting in settings for word in ("--set", setting)]
    ok("render", f"{name}.yaml", *words, cwd=desk)
    run = desk / "jobs" / name
    done = run_script(run, is_warm=True, timeout=MINUTES)
    assert done.returncode == 0, done.stdout + done.stderr
    found = state(run)
    assert (found["status"], found["world_size"]) == ("finished", 2)
    command = [str(find_mpirun()), "--oversubscribe", "-n", "2", sys.executable, "-m", "hpctrain"]
    path = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    embedded = subprocess.run(
        [*command, "embed", str(run)],
        cwd=desk,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=MINUTES,
        check=False,
    )
    assert embedded.returncode == 0, embedded.stderr
    assert "[rank 1/2" in embedded.stderr, embedded.stderr
    return run


def check(desk: Path, run: Path, count: int, dim: int) -> dict[str, Any]:
    """Look at the embeddings, and evaluate them; returns the numbers."""
    (place,) = (path.parent for path in (run / "embeddings").glob("*/store.json"))
    store = Store.open(place)
    assert store.num_rows == count
    assert ("rgb_expanded" in store.dims) == (run.name == "vicreg")
    for name in ("rgb", "ir"):
        vectors = np.asarray(store.branch(name)[0:count])
        assert vectors.shape == (count, dim)
        assert np.isfinite(vectors).all()
        assert vectors.std(0).mean() > 1e-4
    ok("evaluate", str(run), "--attention", "1", cwd=desk)
    folder = run / "eval" / "embeddings" / place.name
    assert (folder / "index.html").stat().st_size > 10_000
    numbers: dict[str, Any] = json.loads((folder / "numbers.json").read_text())
    summary = json.loads((run / "eval" / "summary.json").read_text())
    for way in ("rgb_to_ir", "ir_to_rgb"):
        found = numbers["retrieval"][way]["all"]
        assert 0 <= found["r@1"] <= 1
        assert found["gallery"] == summary["watched_pairs"]  # so few are held out
    return numbers


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands at the head of both jobs, with fewer and smaller pictures."""
    desk = tmp_path_factory.mktemp("shipped")
    for task in TASKS:
        ok("init", task, cwd=desk)
    ok("sample", "sky", "--scenes", "64", "--size", "300,100", "--bad", "4", cwd=desk)
    ok("index", "import", "data/sky/train", "--rule", "data/sky/rule.yaml", cwd=desk)
    by = ("--by", "node", "--by", "day")
    ok("index", "split", "data/sky/train", *by, "--validation", "0.2", cwd=desk)
    return desk


@pytest.mark.parametrize("task", TASKS)
def test_shipped_job__from_sample_to_evaluation(sky: Path, task: str) -> None:
    run = trained(sky, task, "site=local", "train.epochs=2")
    with (sky / "data/sky/train/index.csv").open() as file:
        usable = sum(row["status"] == "ok" for row in csv.DictReader(file))
    assert usable == 61  # of four spoilt pairs one lacks its position alone, which is allowed
    numbers = check(sky, run, usable, 192)
    assert {"node", "view"} <= set(numbers["classes"])


def desk_of(desk: Path, task: str, data: dict[str, Any], size: dict[str, Any]) -> None:
    """A job file for the index beside it, with the networks of the small jobs of test_pairs."""
    page = JOB if task == "vicreg" else dino_job()
    if task == "dino":
        size = {**size, "local_crop": [8, 8]}
    modalities = {name: {**own, **size} for name, own in page["data"]["modalities"].items()}
    own = {**page["data"], "modalities": modalities, **data}
    train = {**page["train"], "epochs": 2, "watch": {"samples": 64}}
    (desk / f"{task}.yaml").write_text(
        yaml.safe_dump({**page, "name": task, "data": own, "train": train})
    )


@requires(shared_data=True)
@pytest.mark.parametrize("task", TASKS)
def test_tri2i__pictures_of_another_data_set(tmp_path: Path, task: str) -> None:
    """30 real pairs of PNGs, whose thermal halves are grey values without degrees."""
    rule = {
        "modalities": {"rgb": {"files": "rgb/*.png"}, "thermal": {"files": "tir/*.png"}},
        "pair": "stem",
    }
    (tmp_path / "rule.yaml").write_text(yaml.safe_dump(rule))
    index = tmp_path / "index.csv"
    ok("index", "build", str(TRI2I), "--rule", "rule.yaml", "--out", str(index), cwd=tmp_path)
    ok("index", "split", str(index), "--by", "id:(.*)", "--validation", "6", cwd=tmp_path)
    thermal = {"offset": 127.5, "scale": 64} if task == "vicreg" else {"bins": BINS}
    data = {"root": str(TRI2I), "index": str(index), "thermal": thermal}
    desk_of(tmp_path, task, data, {"size": [96, 96], "crop": [48, 48]})
    run = trained(tmp_path, task)
    check(tmp_path, run, 30, 192)


BINS = {"quantiles": [0, 0.3, 0.7, 1]}


def write_tiles(folder: Path) -> int:
    """The one real frame of a SAGE camera cut into tiles, named and written as cameras do."""
    (thermal,) = (RECOVERED / "thermal").glob("20230308*.csv")
    (optical,) = (RECOVERED / "rgb").glob("20230308*.jpg")
    celsius, picture = read_values(thermal), Image.open(optical)
    width, height = picture.size
    left, top, right, bottom = CAMERA_MARGINS
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    seen = picture.crop(tuple(round(n) for n in box))
    high, wide = celsius.shape[0] // ROWS, celsius.shape[1] // COLUMNS
    tall, broad = seen.size[1] // ROWS, seen.size[0] // COLUMNS
    for part in ("rgb", "thermal"):
        (folder / part / "site_unstated").mkdir(parents=True)
    for n in range(ROWS * COLUMNS):
        r, c = divmod(n, COLUMNS)
        tile = celsius[r * high : (r + 1) * high, c * wide : (c + 1) * wide]
        head = f"sensor;right\nbit depth;14 bit\nwidth;{wide}\nheight;{high}\nresolution;high\n"
        head += "advanced radiometry support;yes\nunit;degrees Celsius\n\n"
        text = head + "".join(";".join(f"{v:.2f}" for v in row) + "\n" for row in tile)
        stem, end = NS + n * 10**9, f"_position{n + 1}"
        name = f"{stem}-right_{wide}x{high}_14bit.thermal.celsius{end}.csv"
        (folder / "thermal" / "site_unstated" / name).write_text(text)
        # the optical half alone, of which the name says the size of both
        own = seen.crop((c * broad, r * tall, (c + 1) * broad, (r + 1) * tall))
        own.save(folder / "rgb" / "site_unstated" / f"{stem}-{2 * broad}x{tall}{end}.jpg")
    return ROWS * COLUMNS


@requires(shared_data=True)
@pytest.mark.parametrize("task", TASKS)
def test_sage__tiles_of_a_real_frame(tmp_path: Path, task: str) -> None:
    """There is one whole real pair: its tiles are 24, in the camera's layout and names."""
    count = write_tiles(tmp_path / "sage")
    ok("index", "build", "sage", "--rule", "sage", cwd=tmp_path)
    ok("index", "split", "sage", "--by", "id:(.*)", "--validation", "6", cwd=tmp_path)
    thermal = {"thermal": {"bins": BINS}} if task == "dino" else {}
    data: dict[str, Any] = {"root": "sage", "index": "sage/index.csv", **thermal}
    data["optical"] = {"margins": {"*": [0, 0, 0, 0]}}
    desk_of(tmp_path, task, data, {"size": [64, 56], "crop": [32, 24]})
    run = trained(tmp_path, task)
    numbers = check(tmp_path, run, count, 192)
    assert "view" in numbers["classes"]
