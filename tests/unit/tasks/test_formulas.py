"""Losses and gradients of both networks in one step against the formulas, in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from hpctrain.config.task import Adversary, GradientPenalty, InstanceNoise
from tests.unit.tasks.test_field_gan import Bench as FieldBench
from tests.unit.tasks.test_field_gan import settings
from tests.unit.tasks.test_super_resolution import Bench

EXACT = {"rtol": 0.0, "atol": 1e-10}


def cross_entropy(scores: Tensor, label: float) -> Tensor:
    """-(y ln p + (1 - y) ln(1 - p)) with p = 1 / (1 + exp(-x))."""
    p = 1 / (1 + torch.exp(-scores))
    return -(label * torch.log(p) + (1 - label) * torch.log(1 - p)).mean()


def critic_loss(name: str, real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """What the critic minimises."""
    if name == "wasserstein":
        return fake.mean() - real.mean()
    if name == "hinge":
        return (1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean()
    if name == "bce":
        return cross_entropy(real, 1 - smoothing) + cross_entropy(fake, 0)
    return 0.5 * ((real - (1 - smoothing)) ** 2).mean() + 0.5 * (fake**2).mean()


def generator_loss(name: str, fake: Tensor) -> Tensor:
    """What the generator minimises."""
    if name == "bce":
        return cross_entropy(fake, 1)
    return 0.5 * ((fake - 1) ** 2).mean() if name == "least_squares" else -fake.mean()


def penalty_of(kind: str, critic: Any, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """With PyTorch's own second derivative."""
    x = (real if kind == "r1" else mix * real + (1 - mix) * fake).detach().requires_grad_()
    scores = critic(x).flatten(1).mean(1)
    (slope,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    square = (slope.flatten(1) ** 2).sum(1)
    return 0.5 * square.mean() if kind == "r1" else ((square**0.5 - 1) ** 2).mean()


def gradients(network: torch.nn.Module) -> list[Tensor]:
    return [p.grad.clone() for p in network.parameters() if p.grad is not None]


def check_gradients(network: torch.nn.Module, loss: Tensor) -> None:
    """Those of the step, which are in the network, against those of a loss."""
    found = gradients(network)
    trained = [p for p in network.parameters() if p.grad is not None]
    expected = torch.autograd.grad(loss, trained, retain_graph=True)
    assert sum(float(g.abs().max()) > 1e-6 for g in expected) >= 8
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@pytest.fixture
def widened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of the benches in float64."""
    original = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *size, **k: original(*size, **k).double())


STEPS = [
    ("wasserstein", 0.0, "wgan_gp"),
    ("hinge", 0.0, "r1"),
    ("bce", 0.2, "r1"),
    ("least_squares", 0.1, "wgan_gp"),
]


@pytest.mark.parametrize(("loss", "smoothing", "kind"), STEPS)
@pytest.mark.parametrize("batches", ["separate", "joint"])
def test_super_resolution__step_equals_the_formulas(
    widened: None, loss: str, smoothing: float, kind: str, batches: str
) -> None:
    penalty = GradientPenalty(kind=kind, weight=3.0)  # type: ignore[arg-type]
    adversary = Adversary(
        loss=loss,  # type: ignore[arg-type]
        label_smoothing=smoothing,
        gradient_penalty=penalty,
        critic_steps=1,
        content_weight=0.5,
        adversarial_weight=0.7,
        critic_batches=batches,  # type: ignore[arg-type]
        instance_noise=InstanceNoise(std=0.1, epochs=2),
    )
    bench = Bench(adversary)
    networks = {"generator": bench.generator.double(), "discriminator": bench.critic.double()}
    for name in networks:
        bench.optimizers[name].param_groups[0]["lr"] = 0.0
    losses = bench.step()

    (pair,) = bench.pairs()
    real, fake = pair.target, pair.generate()

    def critic(x: Tensor) -> Tensor:
        return bench.critic(torch.cat((x, pair.condition), 1))

    noisy = [x + 0.1 * pair.normal(n * 100_000) for n, x in ((1, real), (2, fake), (3, fake))]
    value = penalty_of(kind, critic, *noisy[:2], pair.mix(0))
    judged = critic_loss(loss, critic(noisy[0]), critic(noisy[1].detach()), smoothing)
    adversarial = generator_loss(loss, critic(noisy[2]))
    made = 0.7 * adversarial + 0.5 * ((fake - real) ** 2).mean()
    expected = {"discriminator": judged + 3 * value, "gradient_penalty": value}
    expected |= {"generator": made, "adversarial": adversarial}
    for name, wanted in expected.items():
        torch.testing.assert_close(losses[name], wanted.detach(), **EXACT)
    check_gradients(bench.critic, expected["discriminator"])
    check_gradients(bench.generator, made)


@pytest.mark.parametrize(("loss", "smoothing", "kind"), STEPS)
@pytest.mark.parametrize("batches", ["separate", "joint"])
def test_field_gan__step_equals_the_formulas(
    widened: None, loss: str, smoothing: float, kind: str, batches: str
) -> None:
    bench = FieldBench(
        style_size=2,
        loss=loss,
        label_smoothing=smoothing,
        gradient_penalty={"kind": kind, "weight": 3.0},
        critic_batches=batches,
        label_flip=0.0,
        discriminator={"channels": [4, 6], "norm": "none"},
    )
    bench.generator.double()
    bench.critic.double()
    bench.generator.dense.register_forward_pre_hook(lambda _, args: (args[0].double(),))
    losses = bench.step()

    draw = bench.draw()
    real, fake = draw.target, draw.generate()

    def critic(x: Tensor) -> Tensor:
        return bench.critic(x, bench.batch.style)

    value = penalty_of(kind, critic, real, fake, draw.mix(0))
    judged = critic_loss(loss, critic(real), critic(fake.detach()), smoothing) + 3 * value
    adversarial = generator_loss(loss, critic(fake))
    for name, wanted in (("discriminator", judged), ("generator", adversarial)):
        torch.testing.assert_close(losses[name], wanted.detach(), **EXACT)
    check_gradients(bench.generator, adversarial)
    found = gradients(bench.critic)
    assert len(found) >= 5
    trained = [p for p in bench.critic.parameters() if p.grad is not None]
    for a, b in zip(found, torch.autograd.grad(judged, trained), strict=True):
        torch.testing.assert_close(a, b, **EXACT)


def test_joint__refuses_means_of_the_batch() -> None:
    with pytest.raises(ValueError, match="joint does not go with discriminator.norm: batch"):
        settings(critic_batches="joint")
    with pytest.raises(ValueError, match="joint does not go with discriminator.norm: batch"):
        Adversary(critic_batches="joint", discriminator={"kind": "patch", "norm": "batch"})  # type: ignore[arg-type]
