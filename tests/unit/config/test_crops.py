"""Stages of a training on crops of their own sizes: what the job file may say."""

from __future__ import annotations

import pytest
import torch

from hpctrain.config import networks
from hpctrain.config.load import read_job, resolve
from hpctrain.errors import ConfigError
from tests.jobs import REPO, mantle


def stages(*found: str) -> str:
    return f"data.crop_stages=[{', '.join('{' + text + '}' for text in found)}]"


def test_stages__are_read():
    job = mantle("local", stages("epochs: 2, crop: [4, 4, 4]"), "data.crop=[8, 8, 8]").job
    assert [(s.epochs, s.crop, s.stride) for s in job.data.crop_stages] == [(2, (4, 4, 4), None)]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (("train.epochs=4", stages("epochs: 3, crop: [6, 6, 6]", "epochs: 1, crop: [7, 7, 7]")),
         r"data\.crop_stages: its stages last 4 epochs and train\.epochs is 4.*5 or more"),
        ((stages("epochs: 1, crop: [8, 8, 8]"),),
         r"crop_stages\[0\] cuts samples of \[8, 8, 8\] as crop does"),
        ((stages("epochs: 1, crop: [6, 6, 6]", "epochs: 1, crop: [6, 6, 6]"),),
         r"crop_stages\[0\] cuts samples of \[6, 6, 6\] as crop_stages\[1\] does"),
        ((stages("epochs: 2, crop: [2, 6, 6]"), "train.pretrain_epochs=1"),
         r"crop_stages\[0\]\.crop \[2, 6, 6\] gives fields of 8 cells .* needs 16 for a score"),
        (("data.crop=[2, 8, 8]",), r"data\.crop: crop \[2, 8, 8\] gives fields of 8 cells"),
        ((stages("epochs: 0, crop: [6, 6, 6]"),), r"crop_stages"),
    ],
)  # fmt: skip
def test_stages__what_cannot_be_is_one_sentence(settings, text):
    with pytest.raises(ConfigError, match=text):
        mantle("local", "data.crop=[8, 8, 8]", *settings)


def test_stages__small_crops_may_come_before_the_adversary():
    mantle("local", stages("epochs: 2, crop: [2, 6, 6]"), "train.pretrain_epochs=2")


def test_stages__not_for_networks_of_one_size():
    draft = read_job(REPO / "jobs/cosmogan.yaml", [stages("epochs: 1, crop: [1, 32, 32]")], REPO)
    with pytest.raises(ConfigError, match=r"data\.crop_stages: the networks of field_gan are made"):
        resolve(draft, "local")


def test_stages__planes_stay_planes():
    plane = [
        "data.crop=[1, 64, 64]",
        "train.generator={kind: unet, dims: 2}",
        "train.adversary=null",
    ]
    settings = [*plane, stages("epochs: 1, crop: [2, 32, 32]")]
    draft = read_job(REPO / "jobs/field-to-field.yaml", settings, REPO)
    with pytest.raises(ConfigError, match=r"data\.crop_stages: found \[2, 32, 32\].*planes"):
        resolve(draft, "local")


@pytest.mark.parametrize("factor", [1, 4])
@pytest.mark.parametrize(
    "critic",
    [
        networks.ResidualCritic(),
        networks.ResidualCritic(blocks=2),
        networks.PatchCritic(kind="patch"),
        networks.PatchCritic(kind="patch", strided=True, layers=2),
    ],
)
def test_least_cells__is_what_the_network_itself_takes(critic, factor):
    from hpctrain.tasks.super_resolution.networks import make_critic

    train = mantle("local").job.train
    adversary = train.adversary.model_copy(update={"discriminator": critic})
    settings = train.model_copy(update={"adversary": adversary, "upscale_factor": factor})
    least = critic.least_cells(factor)
    with torch.device("meta"):
        made = make_critic(settings, 1)
        made(torch.empty(1, 1, least, least, least))
        with pytest.raises(ConfigError, match="too small"):
            made(torch.empty(1, 1, least - 1, least, least))
