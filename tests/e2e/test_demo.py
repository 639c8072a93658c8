"""The main job, small: sample, render, run on two ranks under Horovod, look at the result."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.e2e.commands import hpctrain, run_script, state
from tests.requires import SHARED_DATA, requires

pytestmark = requires(mpi=True, horovod=True)

NARROW = "{base: 8, min: 4, max: 8}"
SMOKE = (
    "launch.comm=horovod",
    "data.crop=[4, 4, 8]",
    "data.variables=[temperature, vx, vy, vz]",
    "data.validation_steps=2",
    "train.upscale_factor=2",
    "train.epochs=2",
    "train.pretrain_epochs=1",
    f"train.generator.channels={NARROW}",
    f"train.adversary.discriminator.channels={NARROW}",
    "train.adversary.critic_steps=2",
    "train.log_every_steps=4",
    "train.figures_every_epochs=1",
    "train.precision=float32",
)
LOSS = '''"""A user's own pixel loss, which its values give away."""

from torch import nn


class ThousandPlus(nn.Module):
    def forward(self, output, target):
        return 1000 + ((output - target) ** 2).mean()
'''


def render(folder: Path, *settings: str) -> Path:
    """Render the shipped job with these settings on top."""
    words = [word for setting in settings for word in ("--set", setting)]
    done = hpctrain("render", "mantle", "--site", "local", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "jobs" / "mantle"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where somebody did all of it, in a path that careless quoting breaks on."""
    folder = tmp_path_factory.mktemp("demo") / "a b $HOME `id` ;&'\"(x) ünï"
    folder.mkdir()
    for words in (("init", "mantle"), ("sample", "mantle", "--steps", "6", "--size", "16,16,64")):
        done = hpctrain(*words, cwd=folder)
        assert done.returncode == 0, done.stderr
    (folder / "mine").mkdir()
    (folder / "mine" / "losses.py").write_text(LOSS)
    run = render(folder, *SMOKE, "code=[mine]", "train.criterion=losses.ThousandPlus")
    shutil.rmtree(folder / "mine")  # the run has all that it needs
    done = run_script(run)
    assert done.returncode == 0, done.stderr
    (folder / "said.txt").write_text(done.stdout + done.stderr)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    """The run directory."""
    return folder / "jobs" / "mantle"


@pytest.fixture(scope="module")
def events(run: Path) -> EventAccumulator:
    """The TensorBoard event file, read back by TensorBoard."""
    found = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    return found


def metrics(run: Path, kind: str) -> list[dict[str, Any]]:
    lines = (run / "logs" / "metrics.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["kind"] == kind]


def steps(points: Sequence[Any]) -> list[int]:
    return [point.step for point in points]


def test_run__finished_on_two_ranks_under_horovod(folder: Path, run: Path) -> None:
    said = (folder / "said.txt").read_text()
    assert "2 ranks on 1 node, horovod, cpu" in said
    assert re.search(r"epoch 2/2  step 16/16  discriminator .* samples/s  0:00 left", said)
    assert "mantle: finished" in said
    found = state(run)
    assert (found["status"], found["epoch"], found["global_step"]) == ("finished", 2, 32)
    assert (found["world_size"], found["comm"], found["eta_s"]) == (2, "horovod", 0.0)
    assert (run / "checkpoints" / "latest").resolve().name == "state_2.pt"


def test_status__names_the_run_its_state_and_its_checkpoint(folder: Path) -> None:
    done = hpctrain("status", cwd=folder)
    head, row = done.stdout.splitlines()
    assert head.split()[:2] == ["run", "state"]
    assert row.split()[:4] == ["mantle", "finished", "2/2", "32"]
    assert "state_2.pt" in row


def test_user_code__is_used_on_the_compute_side(run: Path) -> None:
    assert (run / "code" / "user" / "losses.py").read_text() == LOSS
    pretraining = [line for line in metrics(run, "train") if line["epoch"] == 0]
    assert pretraining
    assert all(1000 < line["loss/generator"] < 1100 for line in pretraining)


def test_tensorboard__scalars_are_at_their_steps(run: Path, events: EventAccumulator) -> None:
    every = list(range(4, 33, 4))
    adversarial = [step for step in every if step > 16]
    for name in ("loss/generator", "learning_rate/generator", "learning_rate/discriminator",
                 "samples_per_s", "share/data", "share/communication"):  # fmt: skip
        assert steps(events.Scalars(f"train/{name}")) == every, name
    for name in ("discriminator", "adversarial", "content", "gradient_penalty"):
        assert steps(events.Scalars(f"train/loss/{name}")) == adversarial, name
    for name in ("rmse/generator", "rmse/trilinear", "log_spectrum_error/generator"):
        assert steps(events.Scalars(f"validation/{name}")) == [16, 32], name


def test_tensorboard__scalars_are_those_of_the_log(run: Path, events: EventAccumulator) -> None:
    for name in ("loss/generator", "samples_per_s", "share/communication"):
        found = [point.value for point in events.Scalars(f"train/{name}")]
        assert found == pytest.approx([line[name] for line in metrics(run, "train")], rel=1e-6)
    shares = events.Scalars("train/share/data") + events.Scalars("train/share/communication")
    assert all(0 <= point.value <= 1 for point in shares)


def test_tensorboard__pictures_and_spectra_of_each_epoch(
    run: Path, events: EventAccumulator
) -> None:
    for name in ("temperature", "vx", "vy", "spectra"):
        images = events.Images(name)
        assert steps(images) == [16, 32], name
        assert all(i.encoded_image_string.startswith(b"\x89PNG") for i in images), name
        assert min(images[0].width, images[0].height) > 200, name
        for epoch in (1, 2):
            assert (run / "eval" / "figures" / f"epoch_{epoch:04}_{name}.png").is_file()


def test_evaluation__is_of_the_files_that_were_not_trained_on(run: Path) -> None:
    summary = json.loads((run / "eval" / "summary.json").read_text())
    assert (summary["epoch"], summary["step"]) == (2, 32)
    assert summary["variables"] == ["temperature", "vx", "vy", "vz"]
    # 2 files of 8 x 8 x 32 coarse cells in crops of 4 x 4 x 8
    assert summary["samples"] == 2 * 2 * 2 * 4
    last = metrics(run, "validation")[-1]
    for who in ("generator", "trilinear"):
        assert summary["rmse_normalized"][who] == pytest.approx(last[f"rmse/{who}"], rel=1e-6)
    spectra = json.loads((run / "eval" / "spectra.json").read_text())
    assert all(len(spectra[who]["vx"]) == len(spectra["k"]) for who in ("truth", "generator"))


def test_report__has_the_numbers_and_needs_nothing_from_outside(folder: Path, run: Path) -> None:
    done = hpctrain("report", "mantle", cwd=folder)
    assert done.returncode == 0, done.stderr
    page = (run / "report.html").read_text()
    text = html.unescape(re.sub(r"<[^>]*>", " ", page))
    summary = json.loads((run / "eval" / "summary.json").read_text())
    for key in ("rmse_normalized", "log_spectrum_error"):
        for who, value in summary[key].items():
            assert f"{value:.4g}"[:5] in text, (key, who)
            assert f"{value:.4f}" in done.stdout, (key, who)
    assert page.count("data:image/png;base64,") >= 3
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page)


def test_report__shows_all_that_was_evaluated(folder: Path, run: Path) -> None:
    done = hpctrain("evaluate", "mantle", "--members", "2", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("temperature RMSE ") == 2
    done = hpctrain("report", "mantle", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "animations: " in done.stdout
    page = (run / "report.html").read_text()
    assert "Not everything could be read" not in page
    variables = ("temperature", "vx", "vy", "vz")
    whole = ["Power spectra", "Errors by depth", "Divergence of the velocity", "Calibration"]
    for v in variables:
        whole += [f"Shells of {v}", f"Section of {v} along one meridian", f"{v} over time, "]
        slices = f'alt="{v}: input, trilinear, generated and truth in several layers"'
        for title in (f"{v} by epoch", f"{v} by shell"):
            assert f"<b>{title}</b>" in page
        assert slices in page
    shown = re.findall(r'<img src="data:image/(png|gif);base64,([^"]+)" alt="([^"]+)"', page)
    for title in whole:
        (one,) = [found for found in shown if found[2].startswith(title)]
        assert one[0] == ("gif" if "over time" in title else "png")
        assert len(one[1]) > 5000, title
    titles = re.findall(r'role="img" class="chart" aria-label="([^"]+)"', page)
    for title in ("RMSE by epoch", "vz: log_spectrum_error", "vz: correlation by shell",
                  "power spectrum of vz", "generator loss", "learning rate"):  # fmt: skip
        assert title in titles
    divergence = json.loads((run / "eval" / "whole.json").read_text())["steps"][0]["divergence"]
    assert set(divergence) == {"truth", "generator", "trilinear", "tricubic"}


def rolled_copy(source: Path, target: Path, columns: int) -> None:
    """The same convection in a turned coordinate frame: columns moved, velocities rotated along."""
    import h5py

    shutil.copy(source, target)
    with h5py.File(target, "r+") as file:
        angle = np.float32(2 * np.pi * columns / file["lon"].shape[0])
        for name in ("temperature", "vx", "vy", "vz"):
            file[name][...] = np.roll(file[name][...], columns, axis=2)
        x, y = file["vx"][...], file["vy"][...]
        file["vx"][...] = np.cos(angle) * x - np.sin(angle) * y
        file["vy"][...] = np.sin(angle) * x + np.cos(angle) * y


@requires(shared_data=True)
def test_real_citcoms_sphere__trains_through_the_same_commands(tmp_path: Path) -> None:
    (source,) = (SHARED_DATA / "mantle").glob("citcoms*.nc")
    hpctrain("init", "mantle", cwd=tmp_path)
    data = tmp_path / "data" / "mantle"
    data.mkdir(parents=True)
    (data / "mantle1.nc").symlink_to(source)
    rolled_copy(source, data / "mantle2.nc", columns=40)
    run = render(
        tmp_path,
        *SMOKE,
        "data.validation_steps=1",
        "data.variables=[temperature, vx, vy, vz]",
        "data.shells=[0, 32]",
        "data.crop=[4, 8, 16]",
        "train.upscale_factor=4",
        "train.pretrain_epochs=0",
        "train.adversary.critic_steps=1",
        "train.epochs=1",
        "train.figures_every_epochs=0",
        "train.log_every_steps=1",
    )
    done = run_script(run)
    assert done.returncode == 0, done.stderr
    assert [line["step"] for line in metrics(run, "train")] == [1, 2]
    summary = json.loads((run / "eval" / "summary.json").read_text())
    assert summary["samples"] == 8
    assert summary["rmse"]["trilinear"]["temperature"] < 0.1  # of 0 to 1
    assert all(np.isfinite(list(summary["rmse"]["generator"].values())))


@requires(shared_data=True)
def test_real_stagyy_snapshots__train_through_the_same_commands(tmp_path: Path) -> None:
    """Plane convection is the same at every depth of the page, so its 2D fields are drawn out."""
    with np.load(SHARED_DATA / "mantle" / "stagyy_ra10000.npz") as archive:
        fields = archive["fields"].astype(
            np.float32
        )  # (snapshot, [T, v_horizontal, v_vertical], ...)
    hpctrain("init", "mantle", cwd=tmp_path)
    data = tmp_path / "data" / "mantle"
    data.mkdir(parents=True)
    for i, field in enumerate(fields):
        np.save(data / f"snapshot{i}.npy", np.repeat(field[..., None], 16, axis=-1))
    run = render(
        tmp_path,
        *SMOKE,
        "data.targets=['snapshot*.npy']",
        "data.variables=[]",
        "data.geometry=box",
        "data.augment={roll_longitude: false}",
        "data.validation_steps=1",
        "data.crop=[8, 8, 8]",
        "train.pretrain_epochs=0",
        "train.adversary.critic_steps=1",
        "train.epochs=1",
        "train.figures_every_epochs=0",
        "train.log_every_steps=1",
    )
    done = run_script(run)
    assert done.returncode == 0, done.stderr
    summary = json.loads((run / "eval" / "summary.json").read_text())
    assert summary["samples"] == 8
    assert all(np.isfinite(list(summary["rmse"]["generator"].values())))
