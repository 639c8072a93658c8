"""The VAE of volumes and the networks that find ink: sizes, parameters, what reaches what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from hpctrain.config.scroll_vae import ScrollVae
from hpctrain.errors import ConfigError
from hpctrain.models.ink import InkEncoderDecoder, InkUNet
from hpctrain.models.vae import Vae3d
from hpctrain.models.volume_blocks import BLOCKS, Pool
from hpctrain.tasks.scroll_vae.listing import known_scroll_rows, scroll_rows


def numbers(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_vae__is_the_notebooks() -> None:
    """Convolutions 1-32-64-128-256 with pools and a latent vector of 512 have 4.66 M numbers."""
    conv = sum(27 * a * b + b for a, b in ((1, 32), (32, 64), (64, 128), (128, 256)))
    latent = 2 * (2048 * 512 + 512) + 512 * 2048 + 2048
    transposed = sum(8 * a * b + b for a, b in ((256, 128), (128, 64), (64, 32), (32, 1)))
    assert conv + latent + transposed == 4_655_905
    with torch.device("meta"):
        network = Vae3d((32, 32, 32), 512, 32, layers=4, block="plain")
    assert numbers(network) == 4_655_905


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("size", [(8, 8, 8), (4, 8, 12)])
def test_vae__returns_the_size_and_learns_everywhere(
    block: str, size: tuple[int, int, int]
) -> None:
    torch.manual_seed(0)
    network = Vae3d(size, latent_dim=5, channels=3, layers=2, block=block, has_deviation=True)
    x = torch.randn(4, 1, *size)
    coded = network(x, torch.randn(4, 5))
    assert coded.output.shape == x.shape
    assert coded.mean.shape == coded.log_variance.shape == (4, 5)
    assert network.deviation is not None
    (coded.output.square().sum() + coded.log_variance.sum() + network.deviation).backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None]
    assert silent == []
    assert (network(x).output != coded.output).any()  # without noise it decodes the mean


@pytest.mark.parametrize("block", BLOCKS)
def test_vae__learns_a_batch_by_heart(block: str) -> None:
    torch.manual_seed(0)
    network = Vae3d((8, 8, 8), latent_dim=8, channels=8, layers=2, block=block)
    x = torch.randn(4, 1, 1, 1, 1) + torch.randn(4, 1, 8, 1, 1)
    x = x.expand(4, 1, 8, 8, 8).contiguous()
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(120):
        optimizer.zero_grad()
        loss = (network(x).output - x).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.25 * x.var().item()


def test_vae__on_a_grid_codes_each_place_by_its_own_numbers() -> None:
    torch.manual_seed(0)
    network = Vae3d((16, 8, 8), latent_dim=32, channels=8, layers=2, latent="grid").eval()
    coded = network(torch.randn(2, 1, 16, 8, 8), torch.randn(2, 32))
    assert coded.mean.shape == coded.log_variance.shape == (2, 32)
    moved = torch.zeros(1, 2, 4, 2, 2)
    moved[:, :, 0] = 5.0  # all numbers of the first of four layers of cells
    change = (network.decode(moved.flatten(1)) - network.decode(torch.zeros(1, 32))).abs()[0, 0]
    assert change[:4].max() > 0
    assert change[12:].max() == 0
    with pytest.raises(ConfigError, match=r"2 x 2 x 2 cells; give a multiple of 8"):
        Vae3d((8, 8, 8), latent_dim=20, channels=3, layers=2, latent="grid")


def test_vae__refuses_what_its_layers_cannot_halve() -> None:
    with pytest.raises(ConfigError, match=r"20 x 32 x 32 voxels.*multiple of 8 along each axis"):
        Vae3d((20, 32, 32), layers=3)
    network = Vae3d((8, 8, 8), 2, 2, 1)
    with pytest.raises(ConfigError, match=r"made for volumes of \(8, 8, 8\)"):
        network(torch.zeros(1, 1, 8, 8, 16))


def test_vae__wild_variances_do_not_overflow() -> None:
    network = Vae3d((8, 8, 8), 2, 2, 1)
    with torch.no_grad():
        network.to_latent[1].bias.fill_(1e4)
    coded = network(torch.zeros(1, 1, 8, 8, 8), torch.ones(1, 2))
    assert torch.isfinite(coded.log_variance.exp()).all()
    assert torch.isfinite(coded.output).all()


INK = {
    "encoder_decoder": lambda size: InkEncoderDecoder(size, channels=4, layers=2),
    "unet": lambda size: InkUNet(size, stem=3, channels=4, levels=2),
}


@pytest.mark.parametrize("name", INK)
def test_ink__marks_each_pixel_of_any_window(name: str) -> None:
    torch.manual_seed(0)
    network = INK[name]((8, 16, 12)).eval()
    assert network(torch.randn(2, 1, 8, 16, 12)).shape == (2, 16, 12)
    assert network(torch.randn(1, 1, 8, 20, 32)).shape == (1, 20, 32)


@pytest.mark.parametrize("name", INK)
def test_ink__sees_every_layer_and_learns_everywhere(name: str) -> None:
    torch.manual_seed(0)
    network = INK[name]((8, 16, 16))
    x = torch.randn(2, 1, 8, 16, 16, requires_grad=True)
    network(x).square().sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().amax((0, 1, 3, 4)) > 0).all()
    silent = [n for n, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert silent == []


@pytest.mark.parametrize("name", INK)
def test_ink__refuses_a_window_it_cannot_halve(name: str) -> None:
    with pytest.raises(ConfigError, match="multiple of 4"):
        INK[name]((8, 16, 14))


def test_ink__takes_the_encoder_of_a_vae() -> None:
    """Of another volume's size too, as the layers know none."""
    vae = Vae3d((16, 16, 16), 4, channels=4, layers=2)
    network = InkEncoderDecoder((8, 24, 16), channels=4, layers=2)
    network.encoder.load_state_dict(vae.encoder.state_dict())
    x = torch.randn(1, 1, 8, 24, 16)
    torch.testing.assert_close(network.eval().encoder(x), vae.eval().encoder(x))


def test_listing__counts_every_network_without_computing() -> None:
    rows = known_scroll_rows((16, 16, 16))
    assert [row["role"] for row in rows] == ["vae"] * 3 + ["ink"] * 2
    assert all(row["output"] == [1, 16, 16, 16] for row in rows[:3])
    assert all(row["output"] == [1, 1, 16, 16] for row in rows[3:])
    assert all(row["forward_gflop"] > 0 for row in rows)
    assert known_scroll_rows((16, 16, 12)) == []


def test_listing__counts_a_linear_path() -> None:
    block = {"latent_dim": 8, "linear_windows": 8}
    settings = ScrollVae(task="scroll_vae", epochs=1, global_batch_size=2, network=block)
    (row,) = scroll_rows(settings, (16, 16, 16))
    assert row["output"] == [1, 16, 16, 16]
    assert row["parameters"] > 8 * 16**3


def test_plain__pools_in_the_type_and_layout_of_its_weights() -> None:
    """Autocast would widen it, and one channel be taken for the plain layout, which is slower."""
    network = Vae3d((8, 8, 8), 2, channels=4, layers=2, block="plain")
    for p in network.parameters():
        if p.ndim == 5:
            p.data = p.data.contiguous(memory_format=torch.channels_last_3d)
    seen: list[torch.Tensor] = []
    network.encoder.layers[0][1].register_forward_hook(lambda *args: seen.append(args[2]))
    with torch.autocast("cpu", torch.bfloat16):
        network(torch.randn(2, 1, 8, 8, 8))
    assert seen[0].dtype == torch.bfloat16
    assert seen[0].is_contiguous(memory_format=torch.channels_last_3d)
    assert not seen[0].is_contiguous()


def test_pool__in_deterministic_mode_has_no_max_pool(deterministic: None) -> None:
    """Its backward pass has no fixed order on a GPU; values and gradients are the same."""
    x = torch.randn(2, 3, 4, 6, 9, requires_grad=True)
    wanted = torch.nn.functional.max_pool3d(x, 2)
    found = Pool()(x)
    assert torch.equal(found, wanted)
    assert "MaxPool" not in found.grad_fn.name()  # type: ignore[union-attr]
    weight = torch.randn_like(found)
    gradients = [torch.autograd.grad((y * weight).sum(), x)[0] for y in (found, wanted)]
    assert torch.equal(*gradients)


@pytest.fixture
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)
