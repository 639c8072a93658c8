"""Options of the adversary: what each does to the losses, and that a resumed run repeats it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

from hpctrain.config.networks import PatchCritic, Srsgan
from hpctrain.config.task import Adversary, InstanceNoise, SuperResolution
from hpctrain.losses import adversarial_loss
from hpctrain.models import SrDiscriminator
from hpctrain.tasks.super_resolution.adversarial import AdversarialStep
from hpctrain.tasks.super_resolution.networks import make_critic
from tests.unit.tasks.test_super_resolution import WIDTHS, Bench

QUIET = {"critic_steps": 1, "gradient_penalty": None}


class Seen(nn.Module):
    """A critic that remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.fields: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.fields.append(x.detach().clone())
        return self.weight * x.mean((1, 2, 3, 4), keepdim=True)


def shown(adversary: Adversary, epoch: int = 0) -> tuple[Bench, list[torch.Tensor]]:
    """Real, fake of the critic's step, and fake of the generator's."""
    bench, critic = Bench(adversary), Seen()
    bench.optimizers["generator"].param_groups[0]["lr"] = 0.0
    bench.update.optimizers["discriminator"] = torch.optim.SGD(critic.parameters(), lr=0.0)
    bench.update._parameters["discriminator"] = list(critic.parameters())
    AdversarialStep(adversary, critic, nn.functional.mse_loss)(
        bench.pairs(), bench.update, 0, epoch
    )
    return bench, critic.fields


def test_conditional__false_shows_the_field_alone() -> None:
    bench, (real, *_) = shown(Adversary(**QUIET))
    assert real.shape[1] == 4
    bench, (real, *_) = shown(Adversary(**QUIET, conditional=False))
    assert torch.equal(real, bench.batch.target)


def test_instance_noise__falls_linearly_and_differs_between_real_and_fake() -> None:
    noise = InstanceNoise(std=0.5, epochs=4)
    adversary = Adversary(**QUIET, conditional=False, instance_noise=noise)
    for epoch, std in enumerate((0.5, 0.375, 0.25, 0.125, 0.0, 0.0)):
        bench, (real, fake, last) = shown(adversary, epoch)
        clean = bench.pairs()[0].generate().detach()
        parts = [real - bench.batch.target, fake - clean, last - clean]
        for part in parts:
            assert float(part.std()) == pytest.approx(std, rel=0.05, abs=1e-6)
        if std:
            assert abs(float(torch.corrcoef(torch.stack([p.ravel() for p in parts]))[0, 1])) < 0.1


def test_instance_noise__belongs_to_the_sample_whatever_the_micro_batches() -> None:
    bench = Bench(Adversary())
    whole = bench.pairs()[0]
    bench.update.accumulate = 2
    first, second = bench.pairs()
    assert torch.equal(torch.cat((first.normal(7), second.normal(7))), whole.normal(7))
    assert not torch.equal(whole.normal(7), whole.normal(8))


def test_ramp__weight_rises_by_epoch() -> None:
    adversary = Adversary(**QUIET, adversarial_weight=2.0, ramp_epochs=3)
    found = []
    for epoch in range(6):
        bench = Bench(adversary)
        losses = bench.advance(bench.pairs(), bench.update, 0, epoch)
        found.append(float(losses["generator"] / losses["adversarial"]))
    assert found == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0], rel=1e-5)


def test_label_smoothing__against_the_cross_entropy_with_that_label() -> None:
    real, fake = torch.randn(2, 3, 1, 4, 4, 4).double()
    found = adversarial_loss("bce", 0.1).critic_loss(real, fake)
    label = torch.full_like(real, 0.9)
    expected = F.binary_cross_entropy_with_logits(real, label) + F.binary_cross_entropy_with_logits(
        fake, torch.zeros_like(fake)
    )
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)
    found = adversarial_loss("least_squares", 0.1).critic_loss(real, fake)
    expected = ((real - 0.9).square().mean() + fake.square().mean()) / 2
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)
    with pytest.raises(ValidationError, match="label_smoothing has no effect with loss: hinge"):
        Adversary(loss="hinge", label_smoothing=0.1)


def settings(adversary: Adversary, **options: object) -> SuperResolution:
    return SuperResolution(
        task="super_resolution",
        upscale_factor=2,
        epochs=1,
        global_batch_size=1,
        generator=Srsgan(),
        adversary=adversary,
        **options,  # type: ignore[arg-type]
    )


def test_spectral_norm__largest_singular_value_of_every_weight_is_one() -> None:
    torch.manual_seed(0)
    adversary = Adversary(spectral_norm=True, discriminator=PatchCritic(kind="patch", channels=3))
    critic = make_critic(settings(adversary), 2)
    x = torch.randn(2, 2, 8, 8, 8)
    for _ in range(60):  # each forward pass is one step of the power iteration
        critic(x)
    convs = [m for m in critic.modules() if isinstance(m, nn.Conv3d)]
    assert len(convs) == 4
    for conv in convs:
        largest = torch.linalg.matrix_norm(conv.weight.detach().flatten(1), 2)
        assert float(largest) == pytest.approx(1, 1e-3)


def test_spectral_norm__state_is_saved_and_a_resumed_critic_goes_on_alike() -> None:
    torch.manual_seed(0)
    adversary = Adversary(spectral_norm=True, discriminator=PatchCritic(kind="patch", channels=3))
    critic, x = make_critic(settings(adversary), 2), torch.randn(1, 2, 8, 8, 8)
    critic(x)
    saved = {k: v.clone() for k, v in critic.state_dict().items()}
    expected = [critic(x), critic(x)]
    again = make_critic(settings(adversary), 2)
    again.load_state_dict(saved)
    assert all(torch.equal(a, again(x)) for a in expected)


def test_spectral_norm__does_not_go_with_recomputing() -> None:
    with pytest.raises(ValidationError, match="does not go with activation_checkpointing"):
        settings(Adversary(spectral_norm=True), activation_checkpointing=True)


def test_spectral_norm__goes_with_a_gradient_penalty() -> None:
    bench = Bench(Adversary(critic_steps=1, spectral_norm=True))
    torch.manual_seed(0)
    critic = make_critic(settings(bench.advance.adversary), 4)
    assert isinstance(critic, SrDiscriminator)
    small = SrDiscriminator(4, 2, **WIDTHS)
    for module in small.modules():
        if isinstance(module, nn.Conv3d):
            nn.utils.parametrizations.spectral_norm(module)
    bench.advance.critic = small
    bench.update._parameters["discriminator"] = [p for p in small.parameters() if p.requires_grad]
    losses = bench.step()
    assert torch.isfinite(losses["gradient_penalty"])
