import pytest
import torch

from hpctrain.errors import ConfigError
from hpctrain.losses.criteria import criterion

USER_CODE = """
import torch

class Weighted(torch.nn.Module):
    def forward(self, output, target):
        return 3 * (output - target).abs().sum()

class NeedsSize(torch.nn.Module):
    def __init__(self, size):
        super().__init__()

NUMBER = 3
"""


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    name = f"user_losses_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(USER_CODE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.mark.parametrize(
    ("name", "expected"), [("mse", 4.0), ("l1", 2.0), ("huber", 1.5), ("SmoothL1Loss", 1.5)]
)
def test_criterion__by_name(name, expected):
    value = criterion(name)(torch.full((1, 1, 2, 2, 2), 3.0), torch.ones(1, 1, 2, 2, 2))
    assert value.item() == pytest.approx(expected)


def test_criterion__of_the_user(user_module):
    loss = criterion(f"{user_module}.Weighted")
    assert loss(torch.zeros(2), torch.ones(2)).item() == 6


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("msee", "did you mean 'mse'"),
        ("MSELos", "did you mean 'MSELoss'"),
        ("CTCLoss", "does not compare two fields"),
        ("TripletMarginLoss", "does not compare two fields"),
        ("no_such_module.Loss", "no module 'no_such_module'; list its folder under code:"),
    ],
)
def test_criterion__clear_errors(name, message):
    with pytest.raises(ConfigError, match=message):
        criterion(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Weigthed", "has no class 'Weigthed'; did you mean 'Weighted'"),
        ("NUMBER", "has no class 'NUMBER'"),
        ("NeedsSize", "cannot be made without arguments"),
    ],
)
def test_criterion__clear_errors_in_user_code(user_module, name, message):
    with pytest.raises(ConfigError, match=message):
        criterion(f"{user_module}.{name}")
