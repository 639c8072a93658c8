"""`hpctrain models` as a user calls it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hpctrain.cli import main

JOB = """
name: small
site: local
resources: {ranks_per_node: 1, walltime: "00:10:00"}
data:
  kind: fields
  root: data
  inputs: ["in*.npy"]
  targets: ["out*.npy"]
  validation_steps: 1
  geometry: box
  crop: [4, 6, 8]
code: [mine]
train:
  task: field_to_field
  epochs: 1
  global_batch_size: 1
"""
OWN = """
from torch import nn


class Net(nn.Module):
    def __init__(self, in_channels, out_channels, width=2, **rest):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(in_channels, width, 5), nn.Conv3d(width, out_channels, 3)
        )

    def forward(self, x):
        return self.layers(x)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("data", "mine"):
        (tmp_path / name).mkdir()
    for i in range(2):
        np.save(tmp_path / "data" / f"in{i}.npy", np.zeros((3, 8, 8, 8), np.float32))
        np.save(tmp_path / "data" / f"out{i}.npy", np.zeros((8, 8, 8), np.float32))
    (tmp_path / "mine" / "own_networks_of_test.py").write_text(OWN)
    (tmp_path / "small.yaml").write_text(JOB)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder, capsys):
    """Runs `hpctrain models`; returns what it printed, or its message where it must fail."""

    def call(*words, expected=0):
        with pytest.raises(SystemExit) as info:
            main(["models", *words])
        out, err = capsys.readouterr()
        assert (info.value.code or 0) == expected, err
        return err if expected else out

    return call


@pytest.fixture
def rows(run):
    return lambda *words: json.loads(run("--json", *words))


def test_models__all_that_can_be_chosen(run, rows):
    found = rows("--crop", "8", "--factor", "2")
    kinds = {(row["role"], row["kind"]) for row in found}
    assert {("generator", "unet"), ("generator", "styled"), ("discriminator", "patch")} <= kinds
    unet = next(row for row in found if row["kind"] == "unet")
    assert unet["size_rule"] == "n -> n - 40, n = 4k"
    assert unet["halo"] == [20] * 3
    assert (unet["input"], unet["output"]) == ([1, 48, 48, 48], [1, 8, 8, 8])
    table = run().splitlines()
    assert table[0].split()[:3] == ["network", "parameters", "sizes"]
    assert len(table) == len(rows()) + 1
    assert sum("dcgan" in line for line in table) == 4
    assert max(map(len, table)) < 150


def test_models__of_a_job_take_channels_from_its_files(rows):
    critic = "train.adversary={discriminator: {kind: patch, layers: 1}}"
    generator, discriminator = rows("--job", "small", "--set", critic)
    assert generator["input"] == [3, 44, 48, 48]
    assert generator["output"][0] == 1
    assert discriminator["input"] == [4, 4, 6, 8]
    assert not generator["channels_assumed"]


def test_models__of_a_gan_without_input(run, rows, folder):
    (folder / "gan.yaml").write_text(
        JOB.replace("field_to_field", "field_gan")
        .replace('  inputs: ["in*.npy"]\n', "")
        .replace("global_batch_size: 1", "global_batch_size: 2\n  rescaled_by: [10]")
        .replace("[4, 6, 8]", "[1, 32, 64]")
    )
    generator, discriminator = rows("--job", "gan.yaml")
    assert generator["input"] == [64, 1, 1, 1]
    assert generator["output"] == [1, 1, 32, 64]
    assert discriminator["input"] == [2, 1, 32, 64]
    assert discriminator["parameters"] > 4_000_000
    assert "dcgan, 2D" in run("--job", "gan.yaml")
    text = run("--job", "gan.yaml", "--crop", "24", expected=2)
    assert "halve a field 4 times, and data.crop has 24 x 24 x 24 cells" in text


def test_models__files_that_are_not_there_yet_are_said(folder, run):
    for path in (folder / "data").iterdir():
        path.unlink()
    assert "channels are a guess; give --channels" in run("--job", "small")
    assert "guess" not in run("--job", "small", "--channels", "3,1")


def test_models__of_the_users_own_network(run, rows):
    own = "train.generator={kind: own_networks_of_test.Net, options: {width: 7}}"
    (row,) = rows("--job", "small", "--set", own)
    assert row["halo"] == [3, 3, 3]
    assert row["size_rule"] is None
    assert row["parameters"] == 3 * 7 * 125 + 7 + 7 * 27 + 1
    assert "by trial" in run("--job", "small", "--set", own)
    typo = own.replace("width", "widht")
    text = run("--job", "small", "--set", typo, expected=2)
    assert "takes no 'widht'; it takes width; did you mean 'width'" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--crop", "8,8"], "found '8,8'; allowed: 1 or 3 whole numbers"),
        (["--crop", "17"], "nearest crops that fit: 16 or 18"),
        (["--channels", "3"], "allowed: 2 whole numbers"),
        (["--set", "train.epochs=3"], "give --job"),
        (["--job", "small", "--factor", "2"], "the job says it"),
        (
            [
                "--job",
                "small",
                "--crop",
                "8,8,4",
                "--set",
                "data.crop=[8,8,8]",
                "--set",
                "train.adversary={discriminator: {kind: patch}}",
            ],
            "discriminator: input of (8, 8, 4) cells is too small; it needs at least 7",
        ),
        (
            ["--job", "small", "--set", "train.adversary={discriminator: {kind: patch}}"],
            "crop [4, 6, 8] gives fields of 4 cells along an axis, and the discriminator needs 7",
        ),
    ],
)
def test_models__wrong_options(run, words, message):
    assert message in run(*words, expected=2)
