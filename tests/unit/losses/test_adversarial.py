import math

import pytest
import torch

from hpctrain.errors import ConfigError
from hpctrain.losses.adversarial import ADVERSARIAL_LOSSES, adversarial_loss

REAL = [[0.3, -1.2], [2.0, 0.5]]
FAKE = [[-0.7, 1.4], [0.1, -3.0]]


def mean(function, scores):
    values = [function(s) for row in scores for s in row]
    return sum(values) / len(values)


def sigmoid(s):
    return 1 / (1 + math.exp(-s))


EXPECTED = {
    "wasserstein": (
        mean(lambda s: s, FAKE) - mean(lambda s: s, REAL),
        -mean(lambda s: s, FAKE),
    ),
    "bce": (
        -mean(lambda s: math.log(sigmoid(s)), REAL) - mean(lambda s: math.log(sigmoid(-s)), FAKE),
        -mean(lambda s: math.log(sigmoid(s)), FAKE),
    ),
    "hinge": (
        mean(lambda s: max(0, 1 - s), REAL) + mean(lambda s: max(0, 1 + s), FAKE),
        -mean(lambda s: s, FAKE),
    ),
    "least_squares": (
        (mean(lambda s: (s - 1) ** 2, REAL) + mean(lambda s: s**2, FAKE)) / 2,
        mean(lambda s: (s - 1) ** 2, FAKE) / 2,
    ),
}


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_adversarial_loss__equals_formula(name):
    loss = adversarial_loss(name)
    real, fake = torch.tensor(REAL), torch.tensor(FAKE)
    critic, generator = EXPECTED[name]
    assert loss.critic_loss(real, fake).item() == pytest.approx(critic, rel=1e-6)
    assert loss.generator_loss(fake).item() == pytest.approx(generator, rel=1e-6)


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_adversarial_loss__pulls_the_right_way(name):
    loss = adversarial_loss(name)
    real = torch.zeros(2, 1, requires_grad=True)
    fake = torch.zeros(2, 1, requires_grad=True)
    loss.critic_loss(real, fake).backward()
    assert (real.grad < 0).all()
    # Least squares is at its target 0 already.
    assert (fake.grad > 0).all() or name == "least_squares"
    fake.grad = None
    loss.generator_loss(fake).backward()
    assert (fake.grad < 0).all()


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_adversarial_loss__float32_and_finite_for_large_scores(name):
    loss = adversarial_loss(name)
    scores = torch.tensor([300.0, -300.0], dtype=torch.bfloat16)
    value = loss.critic_loss(scores, scores) + loss.generator_loss(scores)
    assert value.dtype == torch.float32
    assert torch.isfinite(value)


def test_adversarial_loss__unknown_name():
    with pytest.raises(ConfigError, match="did you mean 'wasserstein'"):
        adversarial_loss("waserstein")
