import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from hpctrain.errors import ConfigError
from hpctrain.losses import wgan_gp
from hpctrain.models.noise import SampleNoise, ZeroNoise
from hpctrain.models.resample import crop_to, required_halo, upsample_trilinear
from hpctrain.models.srsgan import SrDiscriminator, SrGenerator, block_width
from hpctrain.train.precision import Precision


def num_parameters(model):
    return sum(p.numel() for p in model.parameters())


def zeroed(model):
    """All projections onto the result set to 0, so that only the direct path is left."""
    for block in model.blocks:
        for p in block.project.parameters():
            p.data.zero_()
    return model


def up(x):
    y = F.interpolate(x, scale_factor=2.0, mode="trilinear", align_corners=False)
    return y[..., 1:-1, 1:-1, 1:-1]


def lrelu(x):
    return F.leaky_relu(x, 0.2)


def reference_generator(model, x, noise):
    """The network written down step by step, as reference/training 1.1 describes it."""

    def conv(layer, x):
        return F.conv3d(x, layer.weight, layer.bias)

    y, x = x, lrelu(conv(model.head[0], x))
    for b in model.blocks:
        x = lrelu(conv(b.conv1, up(x + b.noise1.std.view(-1, 1, 1, 1) * noise(x))))
        x = lrelu(conv(b.conv2, x + b.noise2.std.view(-1, 1, 1, 1) * noise(x)))
        y = up(y)[..., 2:-2, 2:-2, 2:-2] + conv(b.project, x)
    return y


def reference_discriminator(model, x):
    def conv(layer, x):
        return F.conv3d(x, layer.weight, layer.bias)

    x = lrelu(conv(model.head[0], x))
    for b in model.blocks:
        y = lrelu(conv(b.conv2, lrelu(conv(b.conv1, x))))
        x = F.avg_pool3d(y + conv(b.skip, x)[..., 2:-2, 2:-2, 2:-2], 2)
    return conv(model.score[2], lrelu(conv(model.score[0], x)))


@pytest.mark.parametrize(("widths", "count"), [((128, 64, 512), 776_396), ((64, 16, 64), 118_396)])
def test_generator__number_of_parameters(widths, count):
    assert num_parameters(SrGenerator(4, 4, 8, *widths)) == count


@pytest.mark.parametrize(
    ("widths", "count"), [((512, 64, 512), 7_405_313), ((64, 16, 64), 124_977)]
)
def test_discriminator__number_of_parameters(widths, count):
    assert num_parameters(SrDiscriminator(8, 2, *widths, blocks=3)) == count


def test_discriminator__blocks_follow_the_upscale_factor():
    assert len(SrDiscriminator(2, 4, 8, 4, 8).blocks) == 2
    assert len(SrDiscriminator(2, 4, 8, 4, 8, blocks=1).blocks) == 1


def test_block_width__halves_within_bounds():
    assert [block_width(b, 128, 16, 200) for b in range(-1, 5)] == [200, 128, 64, 32, 16, 16]


@pytest.mark.parametrize("factor", [2, 4])
def test_generator__equals_reference(factor):
    model = SrGenerator(3, 3, factor, 16, 4, 16)
    for name, p in model.named_parameters():
        if name.endswith("std"):
            p.data.normal_()
    x = torch.randn(2, 3, 7, 8, 9)
    with torch.no_grad():
        expected = reference_generator(model, x, SampleNoise([1, 2]))
        torch.testing.assert_close(model(x, SampleNoise([1, 2])), expected, rtol=1e-4, atol=1e-5)
    assert expected.shape[2:] == tuple(factor * n - 6 * (factor - 1) for n in (7, 8, 9))


def test_discriminator__equals_reference():
    model = SrDiscriminator(5, 4, 16, 4, 16)
    x = torch.randn(2, 5, 17, 18, 21)
    with torch.no_grad():
        expected = reference_discriminator(model, x)
        torch.testing.assert_close(model(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_generator__direct_path_is_aligned(factor):
    halo = required_halo(factor)
    size = (3, 4, 5)
    axes = [torch.arange(n + 2 * halo, dtype=torch.float32) for n in size]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    ramp = torch.stack((z + 10 * y + 100 * x, z - y))[None]
    result = zeroed(SrGenerator(2, 2, factor, 8, 4, 8))(ramp)
    cut = crop_to(result, [factor * n for n in size])
    torch.testing.assert_close(cut, upsample_trilinear(ramp, factor, halo))


@pytest.mark.parametrize("noise", ["add", "concatenate", "none"])
def test_generator__noise_kinds(noise):
    model = SrGenerator(2, 2, 2, 8, 4, 8, noise=noise)
    for name, p in model.named_parameters():
        if name.endswith("std"):
            p.data.fill_(1.0)
    x = torch.randn(1, 2, 6, 6, 6)
    one, two, mean = model(x, SampleNoise([1])), model(x, SampleNoise([2])), model(x)
    assert one.shape == (1, 2, 6, 6, 6)
    assert torch.equal(one, two) == (noise == "none")
    assert torch.equal(mean, model(x, ZeroNoise()))


def test_generator__unknown_noise():
    with pytest.raises(ConfigError, match="'additive' is unknown; choose add"):
        SrGenerator(2, 2, 2, noise="additive")


def test_generator__other_output_variables():
    model = SrGenerator(3, 2, 2, 8, 4, 8)
    y = model(torch.randn(1, 3, 6, 6, 6))
    assert y.shape == (1, 2, 6, 6, 6)
    y.sum().backward()
    assert model.direct.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("model", [SrGenerator(2, 2, 8, 8, 4, 8), SrDiscriminator(2, 8, 8, 4, 8)])
def test_min_size__is_the_limit(model):
    least = model.min_size()
    assert min(model(torch.randn(1, 2, least, least, least)).shape[2:]) >= 1
    with pytest.raises(ConfigError, match=f"at least {least}"):
        model(torch.randn(1, 2, least, least - 1, least))


def test_output_bias__is_blind_for_wasserstein_and_penalty():
    model = SrDiscriminator(2, 2, 8, 4, 8)
    assert model.output_bias.shape == (1,)
    real, fake = torch.randn(2, 1, 2, 6, 6, 6).unbind(0)
    loss = model(fake).mean() - model(real).mean() + wgan_gp(model, real, fake, torch.rand(1, 1))
    loss.backward()
    assert abs(model.output_bias.grad.item()) < 1e-6
    model.output_bias.requires_grad_(False)
    assert sum(not p.requires_grad for p in model.parameters()) == 1


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_critic_step__second_derivatives_in_all_modes(memory_format, bfloat16):
    torch.manual_seed(0)
    generator = SrGenerator(2, 2, 2, 8, 4, 8).to(memory_format=memory_format)
    model = SrDiscriminator(4, 2, 8, 4, 8).to(memory_format=memory_format)
    low = torch.randn(2, 2, 8, 8, 8)
    real, condition = torch.randn(2, 2, 8, 8, 8), upsample_trilinear(low, 2, 2)

    def penalty():
        fake = crop_to(generator(low, SampleNoise([1, 2])), (8, 8, 8))
        mix = torch.tensor([0.25, 0.75]).view(2, 1, 1, 1, 1)
        return wgan_gp(lambda x: model(torch.cat((x, condition), 1)), real, fake, mix)

    exact = torch.autograd.grad(penalty(), [p for p in model.parameters() if p.ndim > 1])
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        value = penalty()
    assert value.dtype == torch.float32
    value.backward()
    rough = [p.grad for p in model.parameters() if p.ndim > 1]
    ours, theirs = (torch.cat([g.flatten() for g in grads]) for grads in (rough, exact))
    assert F.cosine_similarity(ours, theirs, dim=0) > (0.99 if bfloat16 else 0.99999)


def test_training__overfits_one_batch():
    torch.manual_seed(0)
    generator = SrGenerator(1, 1, 2, 16, 8, 16)
    low, high = torch.randn(2, 1, 8, 8, 8), torch.randn(2, 1, 8, 8, 8)
    optimizer = torch.optim.Adam(generator.parameters(), 5e-3)
    losses = []
    for _ in range(150):
        loss = F.mse_loss(crop_to(generator(low, SampleNoise([1, 2])), (8, 8, 8)), high)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


class Layouts(TorchDispatchMode):
    """Operations that meet two layouts of a field with many channels."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.mixed = 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        fields = [t for t in args if isinstance(t, torch.Tensor) and t.ndim == 5]
        fields = [t for t in fields if t.shape[0] == 2 and t.shape[1] == 8 and t[0, 0].numel() > 1]
        self.seen += len(fields)
        layouts = {t.is_contiguous(memory_format=torch.channels_last_3d) for t in fields}
        if len(layouts) == 2:
            self.mixed.append(str(func))
        return result


@pytest.fixture
def two_threads():
    """With one, PyTorch's kernel for convolutions of one cell knows one layout only."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_networks__keep_channels_last_there_and_back(two_threads):
    """One operation on two layouts takes ten times as long."""
    generator, critic = SrGenerator(2, 2, 2, 8, 8, 8), SrDiscriminator(4, 2, 8, 8, 8)
    Precision("", "", "channels_last").apply_layout({"g": generator, "d": critic})
    x, condition = torch.randn(2, 2, 8, 8, 8), torch.randn(2, 2, 10, 10, 10)

    def judged(field):
        return critic(torch.cat((field, condition), 1))

    with Layouts() as layouts:
        fake = generator(x, SampleNoise([1, 2]))
        mix = torch.rand(2, 1, 1, 1, 1)
        real = torch.randn_like(fake)
        loss = judged(fake).mean() - judged(real).mean() + wgan_gp(judged, real, fake, mix)
        loss.backward()
    assert layouts.seen > 100
    assert not layouts.mixed
