"""Jobs of `field_gan` whose data do not fit are refused before anything is queued."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpctrain.config.load import read_job, resolve
from hpctrain.errors import ConfigError
from tests.jobs import REPO


def load(*settings: str) -> None:
    resolve(read_job(Path("jobs/cosmogan.yaml"), settings, REPO), "local")


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("data.geometry=sphere", "data.geometry: found sphere; field_gan makes fields in a box"),
        ("data.inputs=[a.npy]", "data.inputs: field_gan makes fields from noise; leave it out"),
        ("data.crop=[1, 24, 32]", "data.crop: found .1, 24, 32.; the networks halve a field 4"),
        ("data.crop=[8, 32, 32]", "give a multiple of 16 along each axis"),
        ("data.slice_axes=[3]", "data.slice_axes"),
        (
            "train.schedule={kind: plateau, final_factor: 0.0, "
            "plateau: {metric: validation/chi2/both, mode: max}}",
            "the smaller it is; give mode: min",
        ),
        ("train.checkpoints.best=validation/chi2", "Did you mean 'validation/chi2/both'"),
    ],
)
def test_job__that_cannot_be_trained(setting: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load(setting)


@pytest.mark.parametrize("setting", ["data.crop=[32, 48, 64]", "data.crop=[1, 128, 128]"])
def test_job__that_can(setting: str) -> None:
    if setting.startswith("data.crop=[3"):
        load(setting, "data.slice_axes=[0]")
    else:
        load(setting)
