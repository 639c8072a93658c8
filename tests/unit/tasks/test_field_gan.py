"""The DCGAN's step on small tensors: losses by the formulas, flips, rescaling, draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.field_gan import FieldAdversary, FieldGan
from hpctrain.data import FieldBatch, Scales
from hpctrain.data.scales import FieldNorm
from hpctrain.losses import spectral_loss
from hpctrain.tasks.field_gan.draw import FLIP_STREAM, NOISE_STREAM, Draw
from hpctrain.tasks.field_gan.networks import make_critic, make_generator
from hpctrain.tasks.field_gan.rescaling import Rescaling, physical
from hpctrain.tasks.field_gan.step import FieldGanStep
from hpctrain.train.optimizers import build_optimizer
from hpctrain.train.update import Update

A = 4.0
RATIO = FieldNorm(0, 1, "ratio", {"a": A})
SCALES = Scales(("density",), (0.0,), (1.0,), norms=(RATIO,))
WIDTHS = {"channels": [4, 6]}
SHAPE = (1, 8, 8)


def settings(**adversary: Any) -> FieldGan:
    given = {"discriminator": WIDTHS, **adversary}
    generator = {"noise_size": 5, **WIDTHS}
    plain = {"task": "field_gan", "epochs": 1, "global_batch_size": 6}
    return FieldGan(**plain, generator=generator, rescaled_by=[10.0], adversary=given)


class Bench:
    """Networks in float64, optimizers that stay, and a batch."""

    def __init__(self, style_size: int = 0, rate: float = 0.0, **adversary: Any) -> None:
        torch.manual_seed(0)
        self.settings = settings(**adversary)
        self.rescaling = Rescaling(SCALES, self.settings.rescaled_by)
        self.generator = make_generator(self.settings, 1, SHAPE, style_size)
        self.critic = make_critic(self.settings, 2, SHAPE, style_size)
        networks = {"generator": self.generator, "discriminator": self.critic}
        block = self.settings.optimizer
        self.optimizers = {k: build_optimizer(block, m.parameters()) for k, m in networks.items()}
        for optimizer in self.optimizers.values():
            optimizer.param_groups[0]["lr"] = rate
        comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
        self.update = Update(comm, self.optimizers)
        counts = np.random.default_rng(0).poisson(1.0, (6, 1, *SHAPE)) ** 3
        target = torch.from_numpy(2 * counts / (counts + A) - 1)
        style = torch.randn(6, style_size) if style_size else None
        empty = torch.empty(6, 0, 1, 1, 1)
        self.batch = FieldBatch((3, 5, 8, 1, 4, 2), 2, empty, target, num_global=6, style=style)

    def draw(self) -> Draw:
        return Draw(self.batch, self.generator, self.rescaling, 5, seed=7)

    def step(self) -> dict[str, Tensor]:
        advance = FieldGanStep(self.settings.adversary, self.critic, spectral_loss)
        (part,) = self.update.split(self.batch)
        return advance([Draw(part, self.generator, self.rescaling, 5, seed=7)], self.update, 0)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-(y ln p + (1 - y) ln (1 - p)) with p = 1 / (1 + exp(-x))."""
    p = 1 / (1 + np.exp(-logits))
    return -(labels * np.log(p) + (1 - labels) * np.log1p(-p))


@pytest.mark.parametrize("flip", [0.0, 0.4])
def test_step__losses_equal_the_formulas(flip: float) -> None:
    """Noise, fields, both channels, flipped labels, cross-entropy and spectra, in float64."""
    bench = Bench(label_flip=flip, spectral_weight=0.5)
    bench.generator.double()
    bench.critic.double()
    with torch.no_grad():  # fields that vary, so that their spectra have all digits
        bench.generator.layers[-1][0].weight.mul_(8)
    draw = bench.draw()
    bench.generator.dense.register_forward_pre_hook(lambda _, args: (args[0].double(),))
    field = bench.generator(draw._rows(NOISE_STREAM, 5, "normal_")).detach().numpy()
    true = bench.batch.target.numpy()
    seen = [
        np.concatenate((x, np.tanh(A * (1 + x) / (1 - x) / 10)), 1)  # a (1 + s) / (1 - s)
        for x in (true, field)
    ]
    real, fake = (bench.critic(torch.from_numpy(x)).detach().numpy()[:, 0] for x in seen)
    flips = [draw.signs(FLIP_STREAM + i, flip).numpy()[:, 0] < 0 for i in range(2)]
    assert all((0 < f.sum() < 6) == bool(flip) for f in flips)
    judged = cross_entropy(real, 1.0 - flips[0]).mean() + cross_entropy(fake, 0.0 + flips[1]).mean()
    adversarial = cross_entropy(fake, np.ones(6)).mean()
    content = float(spectral_loss(torch.from_numpy(seen[1]), torch.from_numpy(seen[0])))
    found = {name: float(value) for name, value in bench.step().items()}
    assert found["discriminator"] == pytest.approx(judged, abs=1e-10)
    assert found["adversarial"] == pytest.approx(adversarial, abs=1e-10)
    assert found["content"] == pytest.approx(content, abs=1e-10)
    assert found["generator"] == pytest.approx(adversarial + 0.5 * content, abs=1e-10)


def test_flips__of_all_labels_exchange_the_two_losses() -> None:
    bench = Bench(label_flip=0.0)
    step = FieldGanStep(bench.settings.adversary, bench.critic, spectral_loss)
    x, y = torch.randn(2, 6, 2, *SHAPE)
    real, fake = step._scores(bench.draw(), x, y, 0)
    step.adversary = bench.settings.adversary.model_copy(update={"label_flip": 1.0})
    assert torch.equal(step._scores(bench.draw(), x, y, 0)[0], -real)
    assert torch.equal(step._scores(bench.draw(), x, y, 0)[1], -fake)


def test_flips__belong_to_the_sample_and_have_their_share() -> None:
    bench = Bench()
    many = FieldBatch(tuple(range(4000)), 0, torch.empty(0), torch.empty(4000, 1, 1, 1, 1))
    rescaling = Rescaling(SCALES, [])
    signs = Draw(many, bench.generator, rescaling, 5, seed=0).signs(9, 0.1)
    assert float((signs < 0).float().mean()) == pytest.approx(0.1, abs=0.02)
    first, second = many._part(0, 10), many._part(10, 30)
    parts = [Draw(p, bench.generator, rescaling, 5, seed=0).signs(9, 0.1) for p in (first, second)]
    assert torch.equal(torch.cat(parts), signs[:30])


def test_rescaling__equals_the_formula_and_survives_infinity() -> None:
    fields = torch.tensor([-1.0, 0.0, 0.9, 0.999, 1.0], dtype=torch.float32).view(1, 1, 1, 1, 5)
    fields.requires_grad_()
    both = Rescaling(SCALES, [1000.0])(fields)
    counts = A * (1 + fields[..., :4].double()) / (1 - fields[..., :4].double())
    assert torch.allclose(both[:, 1:, ..., :4].double(), torch.tanh(counts / 1000), atol=1e-6)
    assert float(both.detach()[0, 1, 0, 0, 4]) == 1.0
    (slope,) = torch.autograd.grad(both.sum(), fields)
    assert torch.isfinite(slope).all()
    assert Rescaling(SCALES, [])(fields) is fields
    limited = physical(SCALES, fields.detach(), [0.9])
    assert float(limited.max()) == pytest.approx(A * 1.9 / 0.1, rel=1e-5)


def test_step__both_learn_and_the_generator_is_called_once() -> None:
    bench, calls = Bench(rate=1e-2, style_size=2), []
    bench.batch = FieldBatch(
        bench.batch.ids,
        2,
        bench.batch.input,
        bench.batch.target.float(),
        num_global=6,
        style=bench.batch.style,
    )
    before = [p.detach().clone() for m in (bench.generator, bench.critic) for p in m.parameters()]
    bench.generator.register_forward_hook(lambda *_: calls.append(1))
    bench.step()
    after = [p for m in (bench.generator, bench.critic) for p in m.parameters()]
    assert len(calls) == 1
    moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert sum(moved) > 0.9 * len(moved)


def test_style__changes_fields_and_scores() -> None:
    bench = Bench(style_size=2)
    bench.generator.eval()
    bench.critic.eval()
    noise, style = torch.randn(6, 5), torch.randn(6, 2)
    assert not torch.equal(bench.generator(noise, style), bench.generator(noise, -style))
    fields = torch.randn(6, 2, *SHAPE)
    assert not torch.equal(bench.critic(fields, style), bench.critic(fields, -style))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"adversary": {"loss": "least_squares"}}, "label_flip does not go with"),
        ({"generator": {"kernel": 4}}, "4 is even; give an odd number"),
        ({"last_batch": "keep"}, "last_batch: keep does not go with BatchNorm"),
        ({"activation_checkpointing": True}, "does not go with BatchNorm"),
        ({"checkpoints": {"best": "validation/chi2/bth"}}, "unknown 'validation/chi2/bth'"),
        ({"ema": {"models": ["critic"]}}, "ema.models: unknown 'critic'"),
    ],
)
def test_settings__that_do_not_go_together(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        FieldGan(task="field_gan", epochs=1, global_batch_size=4, **changes)


def test_settings__of_a_given_optimizer_are_those_of_a_dcgan() -> None:
    found = FieldAdversary(optimizer={"learning_rate": 1e-3})
    assert found.optimizer.betas == (0.5, 0.999)
