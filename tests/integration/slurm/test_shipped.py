"""Every shipped job, and every golden script, before a real Slurm."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.commands import hpctrain, state
from tests.integration.slurm.cluster import Cluster
from tests.integration.slurm.jobs import finish, render_shipped
from tests.jobs import REPO
from tests.requires import requires
from tests.runs import write_step

pytestmark = requires(slurm=True)

JOBS = sorted(path.stem for path in (REPO / "jobs").glob("*.yaml"))
GOLDEN = sorted(
    path
    for path in (REPO / "tests" / "golden").glob("*.sh")
    if path.read_text().splitlines()[1].startswith("#SBATCH")
)
NARROW = "{base: 8, min: 4, max: 8}"
SMOKE = (
    "resources.gpus_per_rank=0",
    "resources.cpus_per_rank=1",
    "train.epochs=2",
    "train.precision=float32",
    "train.log_every_steps=1",
    "train.figures_every_epochs=0",
)
FIELDS = ("data.validation_steps=1",)
SUPER_RESOLUTION = (
    *FIELDS,
    "train.upscale_factor=2",
    "train.pretrain_epochs=1",
    f"train.generator.channels={NARROW}",
    f"train.adversary.discriminator.channels={NARROW}",
    "train.adversary.critic_steps=1",
)


def sample_mantle(folder: Path) -> None:
    done = hpctrain("sample", "mantle", "--steps", "5", "--size", "32,32,64", cwd=folder)
    assert done.returncode == 0, done.stderr


def contest_files(folder: Path) -> None:
    (folder / "data" / "scivis").mkdir(parents=True)
    for i in range(1, 12):
        write_step(folder / "data" / "scivis" / f"spherical{i:03}.nc", seed=i)


def boxes(folder: Path) -> None:
    (folder / "data" / "fields").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(4):
        field = rng.standard_normal((3, 16, 16, 16)).astype(np.float32)
        np.save(folder / "data" / "fields" / f"linear-{i}.npy", field)
        np.save(folder / "data" / "fields" / f"nonlinear-{i}.npy", 1.1 * field)


def universes(folder: Path) -> None:
    done = hpctrain("sample", "nbody", "--universes", "3", "--size", "16", cwd=folder)
    assert done.returncode == 0, done.stderr


def roll(folder: Path) -> None:
    done = hpctrain("sample", "scroll", "--size", "128,192", cwd=folder)
    assert done.returncode == 0, done.stderr


def sky(folder: Path) -> None:
    words = "--scenes", "24", "--size", "150,50", "--bad", "0"
    root = "data/sky/train"
    for command in (
        ("sample", "sky", *words),
        ("index", "import", root, "--rule", "data/sky/rule.yaml"),
        ("index", "split", root, "--by", "id:(.*)", "--validation", "6"),
    ):
        done = hpctrain(*command, cwd=folder)
        assert done.returncode == 0, done.stderr


DATA: dict[str, Callable[[Path], None]] = {
    "cosmogan": universes,
    "dino": sky,
    "field-to-field": boxes,
    "ink": roll,
    "mantle": sample_mantle,
    "mantle-scivis": contest_files,
    "scroll": roll,
    "vicreg": sky,
}
"""Makes the files that a shipped job reads; each job needs a line here."""
PAIRS = (
    "data.modalities.rgb.size=[32, 48]",
    "data.modalities.ir.size=[32, 48]",
    "data.modalities.rgb.crop=[16, 24]",
    "data.modalities.ir.crop=[16, 24]",
    "train.global_batch_size=4",
    "train.watch={samples: 4}",
)
MORE: dict[str, tuple[str, ...]] = {
    "dino": (
        *PAIRS,
        "data.modalities.rgb.local_crop=[16, 16]",
        "data.modalities.ir.local_crop=[16, 16]",
        "train.backbone={kind: vit, size: tiny, depth: 1, patch_size: 8}",
        "train.head={prototypes: 32, hidden: 16, bottleneck: 8}",
    ),
    "cosmogan": (
        *FIELDS,
        "data.crop=[1, 16, 16]",
        "train.generator.channels=[4, 8]",
        "train.adversary.discriminator.channels=[4, 8]",
    ),
    "field-to-field": (
        *FIELDS,
        "data.crop=[4, 4, 4]",
        "train.generator={kind: unet, channels: 4, levels: 1}",
    ),
    "ink": (
        "data.window=[8, 16, 16]",
        "data.validation={share: null, columns: [40, 88]}",
        "data.samples_per_epoch=64",
        "train.network={kind: unet, stem: 2, channels: 4, levels: 1}",
    ),
    "mantle": (*SUPER_RESOLUTION, "data.crop=[8, 8, 16]"),
    "mantle-scivis": (
        *SUPER_RESOLUTION,
        *("data.crop=[4, 4, 4]", "data.grid=null", "data.workers=0"),
    ),
    "scroll": (
        "data.window=[8, 8, 8]",
        "data.samples_per_epoch=128",
        "data.validation={share: 0.2, axis: z, samples: 8}",
        "train.network={channels: 4, layers: 2, latent_dim: 8}",
    ),
    "vicreg": (
        *PAIRS,
        "train.backbone={kind: vit, size: tiny, depth: 1, patch_size: 8}",
        "train.ir_backbone=null",
        "train.expander=[32, 32]",
    ),
}
"""What else is small in a job's smoke run."""
FITTED: dict[str, tuple[str, ...]] = {
    "cosmogan": ("data.crop=[1, 16, 16]",),
    "dino": ("train.global_batch_size=8",),
    "ink": ("data.window=[16, 32, 32]",),
    "scroll": ("data.window=[16, 16, 16]",),
    "vicreg": ("train.global_batch_size=8",),
}
"""Sizes of samples where those of the job are larger than these small data."""


@pytest.fixture(scope="module", params=JOBS)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder named like the job, with the job file and its data."""
    folder = tmp_path_factory.mktemp("desk") / request.param
    folder.mkdir()
    done = hpctrain("init", request.param, cwd=folder)
    assert done.returncode == 0, done.stderr
    DATA[request.param](folder)
    return folder


def test_shipped__is_accepted_as_it_is(cluster: Cluster, desk: Path) -> None:
    run = render_shipped(desk, desk.name, *FITTED.get(desk.name, ()), name="whole")
    done = cluster.run("sbatch", "--test-only", run / "run.slurm")
    assert done.returncode == 0, done.stderr
    assert "in partition regular" in done.stderr


@requires(mpi=True, horovod=True)
def test_shipped__runs_over_two_nodes(cluster: Cluster, desk: Path) -> None:
    run = render_shipped(
        desk, desk.name, *cluster.two_ranks, *SMOKE, *MORE[desk.name], name="smoke"
    )
    said = finish(cluster, run)
    assert f"{cluster.where}, horovod, cpu" in said
    found = state(run)
    assert (found["status"], found["epoch"], found["world_size"]) == ("finished", 2, 2)


def on_this_cluster(text: str) -> str:
    """A site's script with the names that only that site has replaced by those of ours."""
    text = re.sub(r"^(#SBATCH (?:--partition=|-p )).*", r"\1regular", text, flags=re.MULTILINE)
    return re.sub(r"^(#SBATCH (?:--constraint=|-C )).*", r"\1gpu", text, flags=re.MULTILINE)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden__is_accepted(cluster: Cluster, tmp_path: Path, path: Path) -> None:
    script = tmp_path / path.name
    script.write_text(on_this_cluster(path.read_text()))
    done = cluster.run("sbatch", "--test-only", script)
    assert done.returncode == 0, done.stderr


def test_golden__there_are_some() -> None:
    assert len(GOLDEN) >= 2


def test_test_only__refuses_what_can_never_run(cluster: Cluster, tmp_path: Path) -> None:
    script = tmp_path / "long.sh"
    script.write_text("#!/bin/sh\n#SBATCH --partition=short --time=00:03:00\ntrue\n")
    done = cluster.run("sbatch", "--test-only", script)
    assert done.returncode != 0
    assert "time limit" in done.stderr.lower()
