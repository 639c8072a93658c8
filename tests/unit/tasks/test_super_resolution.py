"""The task on small tensors, without files: what a step does to which network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.optimizer import Optimizer
from hpctrain.config.task import Adversary, GradientPenalty
from hpctrain.data import FieldBatch
from hpctrain.losses.spectral import paired_spectral_loss
from hpctrain.models import SrDiscriminator, SrGenerator
from hpctrain.tasks.super_resolution.adversarial import AdversarialStep, crop_spectra
from hpctrain.tasks.super_resolution.pair import Pair
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.update import Update

WIDTHS = {"channels_base": 8, "channels_min": 4, "channels_max": 8}


class Bench:
    """Networks, optimizers and a batch; each call of `step` is one training step."""

    def __init__(self, adversary: Adversary, accumulate: int = 1) -> None:
        torch.manual_seed(0)
        self.generator = SrGenerator(2, 2, 2, **WIDTHS)
        self.critic = SrDiscriminator(4, 2, **WIDTHS)
        self.optimizers = {
            "generator": build_optimizer(Optimizer(), self.generator.parameters()),
            "discriminator": build_optimizer(adversary.optimizer, self.critic.parameters()),
        }
        comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
        self.update = Update(comm, self.optimizers, accumulate=accumulate)
        self.advance = AdversarialStep(
            adversary, self.critic, nn.functional.mse_loss, crop_spectra(adversary)
        )
        torch.manual_seed(1)
        self.batch = FieldBatch(
            (3, 5), 0, torch.randn(2, 2, 8, 8, 8), torch.randn(2, 2, 8, 8, 8), num_global=2
        )

    def pairs(self) -> list[Pair]:
        return [Pair(b, self.generator, 2, seed=0) for b in self.update.split(self.batch)]

    def step(self, number: int = 0) -> dict[str, Tensor]:
        return self.advance(self.pairs(), self.update, number)


def steps_taken(optimizer: torch.optim.Optimizer) -> int:
    return int(next(iter(optimizer.state.values()))["step"])


@pytest.mark.parametrize("loss", ["wasserstein", "bce", "hinge", "least_squares"])
def test_step__both_networks_learn_in_the_asked_proportion(loss: str) -> None:
    bench = Bench(Adversary(loss=loss, critic_steps=3))
    losses = bench.step()
    assert steps_taken(bench.optimizers["discriminator"]) == 3
    assert steps_taken(bench.optimizers["generator"]) == 1
    assert {"generator", "discriminator", "adversarial", "content", "gradient_penalty"} == set(
        losses
    )
    assert all(torch.isfinite(value) and not value.requires_grad for value in losses.values())


def test_step__accumulated_micro_batches_learn_the_same() -> None:
    benches = [Bench(Adversary(critic_steps=2, content_weight=1.0), k) for k in (1, 2)]
    for bench in benches:
        bench.step()
    for model in ("generator", "critic"):
        one, two = (getattr(bench, model).state_dict() for bench in benches)
        for key, value in one.items():
            torch.testing.assert_close(two[key], value, rtol=1e-5, atol=1e-7)


def test_step__lazy_penalty_runs_every_so_many_critic_steps() -> None:
    penalty = GradientPenalty(kind="r1", weight=1.0, every=4)
    bench = Bench(Adversary(critic_steps=2, gradient_penalty=penalty))
    seen = ["gradient_penalty" in bench.step(number) for number in range(4)]
    assert seen == [True, False, True, False]


def test_step__no_penalty() -> None:
    bench = Bench(Adversary(critic_steps=1, gradient_penalty=None))
    assert "gradient_penalty" not in bench.step()


def test_step__content_weight_counts_in_the_generator_loss() -> None:
    without, with_content = (
        Bench(Adversary(critic_steps=1, content_weight=w)).step() for w in (0.0, 2.0)
    )
    expected = without["generator"] + 2.0 * without["content"]
    torch.testing.assert_close(with_content["generator"], expected)


def test_update__generator_step_leaves_the_critic_untouched() -> None:
    bench = Bench(Adversary(critic_steps=1))
    before = {key: value.clone() for key, value in bench.critic.state_dict().items()}
    pair = bench.pairs()[0]
    bench.update(
        "generator",
        lambda p: {"loss": bench.critic(torch.cat((p.generate(), p.condition), 1)).mean()},
        [pair],
    )
    for key, value in bench.critic.state_dict().items():
        assert torch.equal(value, before[key])
    assert all(p.requires_grad for p in bench.critic.parameters())
    assert all(p.grad is None for p in bench.critic.parameters())


def test_pair__draws_belong_to_the_sample() -> None:
    bench = Bench(Adversary())
    with torch.no_grad():
        for name, parameter in bench.generator.named_parameters():
            if name.endswith("std"):
                parameter.fill_(1.0)
    whole = bench.pairs()[0]
    bench.update.accumulate = 2
    first, second = bench.pairs()
    together = torch.cat((first.generate(), second.generate()))
    torch.testing.assert_close(together, whole.generate())
    assert torch.equal(torch.cat((first.mix(0), second.mix(0))), whole.mix(0))
    assert not torch.equal(whole.mix(0), whole.mix(1))
    other_epoch = Pair(
        FieldBatch((3, 5), 1, bench.batch.input, bench.batch.target), bench.generator, 2, 0
    )
    assert not torch.allclose(other_epoch.generate(), whole.generate())


def test_regression__overfits_one_batch() -> None:
    bench = Bench(Adversary())
    bench.optimizers["generator"].param_groups[0]["lr"] = 1e-2
    target = bench.batch.target.tanh().cumsum(2) / 4  # not noise: something to learn

    def loss(pair: Pair) -> dict[str, Tensor]:
        return {"loss": nn.functional.mse_loss(pair.generate(), target)}

    first, *_, last = (
        float(bench.update("generator", loss, bench.pairs())["loss"]) for _ in range(150)
    )
    assert last < 0.5 * first


def test_clipping__bounds_the_gradient() -> None:
    bench = Bench(Adversary())
    bench.update._clip = 1e-3
    bench.update("generator", lambda p: {"loss": 1e3 * p.generate().square().mean()}, bench.pairs())
    norm = torch.stack([p.grad.norm() for p in bench.generator.parameters() if p.grad is not None])
    assert float(norm.norm()) == pytest.approx(1e-3, rel=1e-3)


def test_step__spectral_loss_is_a_share_of_the_generators() -> None:
    adversary = Adversary(critic_steps=1, adversarial_weight=0.5, spectral_weight=3.0)
    bench = Bench(adversary)
    generated = bench.pairs()[0].generate().detach()
    target = bench.batch.target
    expected = paired_spectral_loss(generated, target, is_periodic=False, smallest=1e-6)
    losses = bench.step()
    torch.testing.assert_close(losses["spectral"], expected, rtol=1e-5, atol=1e-7)
    whole = 0.5 * losses["adversarial"] + 3.0 * losses["spectral"]
    torch.testing.assert_close(losses["generator"], whole, rtol=1e-5, atol=1e-7)
