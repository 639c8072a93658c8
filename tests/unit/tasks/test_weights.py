"""Weights of map2map that a run begins with."""

from __future__ import annotations

import pytest
import torch

from hpctrain.config.task import InitialWeights
from hpctrain.errors import ConfigError
from hpctrain.models.unet import UNet
from hpctrain.tasks.super_resolution.weights import begin_with
from tests.unit.models.test_map2map import W, unet_state


def test_begin__reads_a_state_file_relative_to_the_data(tmp_path):
    state = {"epoch": 5, "model": unet_state(False), "rng": torch.get_rng_state()}
    torch.save(state, tmp_path / "state_5.pt")
    model = UNet(2, 2, W)
    begin_with(InitialWeights(path="state_5.pt"), tmp_path, model, None)
    found = model.state_dict()["centre.convs.3.weight"]
    torch.testing.assert_close(found, state["model"]["conv_c.convs.3.weight"].float())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "state.pt: No such file"),
        (b"no zip", "state.pt: cannot be read"),
        ({"weights": {}}, "has no 'model'; allowed: a state_"),
        ({"model": {"odd": torch.ones(1)}}, "'odd' is no weight of map2map's UNet"),
    ],
)
def test_begin__what_is_wrong_with_a_file(tmp_path, content, message):
    if isinstance(content, bytes):
        (tmp_path / "state.pt").write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / "state.pt")
    with pytest.raises(ConfigError, match=message):
        begin_with(InitialWeights(path="state.pt"), tmp_path, UNet(2, 2, W), None)
