"""The VAE's step and validation on small tensors: sums, parts of the loss, draws, alarms."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.scroll_vae import ScrollVae
from hpctrain.data.sampler import Share
from hpctrain.data.scroll import ScrollBatch
from hpctrain.data.scroll.scales import ScrollScales
from hpctrain.errors import DataError
from hpctrain.losses.vae import gaussian_nll, kl_by_number
from hpctrain.models.components import principal_components
from hpctrain.models.vae import Vae3d
from hpctrain.tasks.scroll_vae.bound import bound, make_vae
from hpctrain.tasks.scroll_vae.components import components_of
from hpctrain.tasks.scroll_vae.draws import VALIDATION_STREAM, normal_rows
from hpctrain.tasks.scroll_vae.evaluation import VaeEvaluation, error_by_distance
from hpctrain.tasks.scroll_vae.samples import Samples, span_of
from hpctrain.tasks.scroll_vae.task import ScrollVaeTask
from hpctrain.train.alarms import kinds
from hpctrain.train.task import Data, Place, Position
from hpctrain.train.update import Update
from tests.unit.data.scroll.builders import datasets, places, scroll

SIZE = (4, 4, 8)
CPU = torch.device("cpu")


def settings(linear_windows: int = 0, **given: Any) -> ScrollVae:
    network = {"block": "plain", "channels": 4, "layers": 2, "latent_dim": 6}
    network["linear_windows"] = linear_windows
    plain = {"task": "scroll_vae", "epochs": 1, "global_batch_size": 4}
    return ScrollVae(**plain, network=network, **given)


def batch(ids: tuple[int, ...] = (0, 3, 5, 1), epoch: int = 0) -> ScrollBatch:
    """Windows that belong to their numbers."""
    volumes = [torch.randn(1, *SIZE, generator=torch.Generator().manual_seed(i)) for i in ids]
    mask = torch.ones(len(ids), *SIZE[1:], dtype=torch.bool)
    origins = torch.zeros(len(ids), 3, dtype=torch.int64)
    own = torch.stack(volumes), None, mask, origins, ("a",) * len(ids)
    return ScrollBatch(ids, epoch, *own, num_global=len(ids))


def network(block: ScrollVae) -> Vae3d:
    torch.manual_seed(0)
    return make_vae(block, SIZE).eval()


def validated(block: ScrollVae, vae: Vae3d, *batches: ScrollBatch) -> tuple[Any, VaeEvaluation]:
    evaluation = VaeEvaluation(block, span=8.0)
    sums: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for own in batches:
            for key, value in evaluation.sums(own, vae).items():
                sums[key] = sums[key] + value if key in sums else value
    return evaluation.result(sums), evaluation


def test_bound__is_the_sum_of_its_parts() -> None:
    block = settings(deviation=0.5, divergence={"weight": 3.0, "warmup_steps": 10})
    coded, volume = network(block)(batch().volume), batch().volume
    voxels = math.prod(SIZE)
    nll = gaussian_nll(coded.output, volume, 0.5) / voxels
    kl = kl_by_number(coded.mean, coded.log_variance).sum(1).mean()
    for step, weight in ((0, 0.0), (5, 1.5), (20, 3.0)):
        found = bound(block, coded, volume, None, step)
        torch.testing.assert_close(found.loss, nll + weight * kl / voxels)
        torch.testing.assert_close(found.divergence, kl)
    free = settings(deviation=0.5, divergence={"free_bits": 100.0})
    found = bound(free, coded, volume, None, 0)
    torch.testing.assert_close(found.loss, nll + 6 * 100 / voxels)
    torch.testing.assert_close(found.divergence, kl)


def test_validation__equals_numpy_over_all_samples_in_any_shares() -> None:
    block = settings(deviation=0.7)
    vae, whole = network(block), batch()
    (one, _), (two, _) = (
        validated(block, vae, *batches) for batches in ((whole,), (batch((0, 3)), batch((5, 1))))
    )
    assert one.scalars == pytest.approx(two.scalars, rel=1e-5)
    x = whole.volume.numpy().astype(np.float64)
    with torch.no_grad():
        coded = vae(whole.volume)
    made, means = coded.output.double().numpy(), coded.mean.double().numpy()
    found = one.scalars
    assert found["mse"] == pytest.approx(((made - x) ** 2).mean(), rel=1e-6)
    assert found["psnr"] == pytest.approx(10 * math.log10(64 / found["mse"]), rel=1e-6)
    assert found["explained"] == pytest.approx(1 - found["mse"] / x.var(0).mean(), rel=1e-6)
    assert found["output_variance"] == pytest.approx(made.var(0).mean() / x.var(0).mean(), rel=1e-5)
    assert found["active_units"] == (means.var(0) > 0.01).sum()
    assert found["deviation"] == pytest.approx(0.7)
    noise = normal_rows(6, 0, 0, whole.ids, VALIDATION_STREAM, CPU)
    with torch.no_grad():
        expected = bound(block, vae(whole.volume, noise), whole.volume, None, 0)
    assert found["loss"] == pytest.approx(float(expected.loss), rel=1e-6)


def test_validation__tells_of_a_collapse_and_not_of_a_net_that_works() -> None:
    block = settings(deviation=1.0, alarms={"active_units": 0.5})
    vae = network(block)
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.zero_()
        vae.to_latent[1].bias.normal_()
    dead, _ = validated(block, vae, batch())
    assert kinds(dead.alarms) == {"constant_output", "posterior_collapse"}
    assert dead.scalars["active_units"] == 0
    lively = network(block)
    with torch.no_grad():
        lively.to_latent[1].weight.mul_(30)
        lively.from_latent.weight.mul_(30)
        for conv in lively.decoder.parameters():
            conv.mul_(3)
    found, _ = validated(block, lively, batch())
    assert found.alarms == []


def test_bernoulli__is_judged_by_probabilities() -> None:
    block = settings(likelihood="bernoulli")
    own = batch()
    share = ScrollBatch(own.ids, 0, torch.sigmoid(own.volume), None, *_rest(own), num_global=4)
    found, evaluation = validated(block, network(block), share)
    assert found.scalars["mse"] < 0.3
    assert "deviation" not in found.scalars
    names = [name for name, _ in evaluation.figures(network(block), 1)]
    assert names == ["reconstruction", "latent_traversal"]
    for _, draw in (*evaluation.figures(network(block), 1), *evaluation.curves(1)):
        assert draw().axes


def test_figures__show_the_volumes_that_vary_most() -> None:
    own = batch((0, 1, 2, 3, 4, 5))
    scales = torch.tensor([0.1, 3.0, 1.0, 0.2, 2.0, 5.0])
    volume = own.volume * scales[:, None, None, None, None]
    shown = ScrollBatch(own.ids, 0, volume, None, *_rest(own), num_global=6)
    _, evaluation = validated(settings(deviation=1.0), network(settings()), shown)
    assert evaluation._shown is not None
    torch.testing.assert_close(evaluation._shown[0], volume[[5, 1, 4, 2]])


def test_traversal__is_decoded_number_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    block = settings(deviation=1.0)
    vae = network(block)
    _, evaluation = validated(block, vae, batch())
    mean, values, sizes = torch.randn(6), np.linspace(-1, 1, 7), []
    decode = vae.decode

    def watched(latent: torch.Tensor) -> torch.Tensor:
        sizes.append(len(latent))
        return decode(latent)

    monkeypatch.setattr(vae, "decode", watched)
    cubes = evaluation._traverse(vae, mean, values)
    assert (cubes.shape, sizes) == ((6, 7, *SIZE), [7] * 6)
    mean[evaluation._liveliest[2]] = float(values[5])
    with torch.no_grad():
        expected = decode(mean[None])[0, 0].numpy()
    np.testing.assert_allclose(cubes[2, 5], expected, atol=1e-6)


def test_span__of_one_grey_value_is_refused(tmp_path: Path) -> None:
    volume = places()
    volume[:, :, 40:] = 7
    np.save(tmp_path / "v.npy", volume)
    held_out = {"columns": [40, 60]}
    _, blank = datasets(scroll(tmp_path, validation=held_out))
    with pytest.raises(DataError, match=r"windows of v.npy have one grey value"):
        span_of(blank)
    volume[4, 8, 50] = 9
    np.save(tmp_path / "v.npy", volume)
    assert span_of(datasets(scroll(tmp_path, validation=held_out))[1]) == 2


def _rest(own: ScrollBatch) -> tuple[Any, ...]:
    return own.mask, own.origins, own.sources


def test_error_by_distance__is_the_mean_over_shells() -> None:
    errors = np.zeros((4, 4, 4))
    errors[1:3, 1:3, 1:3] = 2.0
    errors[0, 0, 0] = 56.0
    found = error_by_distance(errors)
    assert found == {"distance": [0.25, 0.75], "mse": [2.0, 1.0]}


class Bench(ScrollVaeTask):
    """The task without its data."""

    def __init__(self, block: ScrollVae) -> None:
        self.settings = block
        torch.manual_seed(0)
        self.models = {"vae": make_vae(block, SIZE)}


def test_step__does_not_depend_on_the_shares() -> None:
    """Whole, in two micro-batches, and in another order: one result; another epoch: other noise."""
    losses, weights = [], []
    for ids, accumulate, epoch in (
        ((0, 3, 5, 1), 1, 2),
        ((0, 3, 5, 1), 2, 2),
        ((1, 5, 0, 3), 1, 2),
        ((0, 3, 5, 1), 1, 3),
    ):
        task = Bench(settings())
        comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), CPU)
        update = Update(comm, task.build_optimizers(task.models), accumulate=accumulate)
        found = task.training_step(batch(ids, epoch), update, Position())
        assert list(found) == ["vae", "reconstruction", "divergence"]
        losses.append(float(found["vae"]))
        weights.append(float(task.models["vae"].log_deviation.detach()))
    assert losses[1:3] == pytest.approx([losses[0]] * 2, rel=1e-6)
    assert losses[3] != pytest.approx(losses[0], rel=1e-6)
    assert weights[0] != 0, "the deviation is learned"


def test_components__are_those_of_the_first_windows(tmp_path: Path) -> None:
    """Of more than an epoch, and with mirror images along the axes that are flipped."""
    np.save(tmp_path / "v.npy", np.random.default_rng(0).integers(0, 99, (8, 40, 60)))
    augment = {"flip": False, "flip_depth": True}
    held_out = {"columns": [40, 60]}
    more = {"window": SIZE, "samples_per_epoch": 6, "validation": held_out}
    train, _ = datasets(scroll(tmp_path, augment=augment, **more))
    parts = [
        train.read_batch(Share(epoch, 0, tuple(range(count)), count)).volume[:, 0]
        for epoch, count in ((0, 6), (1, 6), (2, 3))
    ]
    expected = principal_components(torch.cat(parts), 4, mirrored=(1,))
    found = components_of(train, 15, 4)
    torch.testing.assert_close(found.center, expected.center)
    torch.testing.assert_close(found.vectors, expected.vectors)


@pytest.mark.parametrize(("rank", "is_new"), [(0, True), (1, True), (0, False)])
def test_linear_path__is_found_by_rank_0_when_a_run_begins(
    rank: int, is_new: bool, tmp_path: Path
) -> None:
    np.save(tmp_path / "v.npy", np.random.default_rng(0).integers(0, 99, (8, 40, 60)))
    data = scroll(tmp_path, window=SIZE, validation={"columns": [40, 60]})
    task = Bench(settings(linear_windows=8))
    task.place = Place(tmp_path, rank, CPU)
    task.samples = Samples(Data(*datasets(data)), ScrollScales("none", {}), SIZE)
    task._is_new = is_new
    found = task.build_models()["vae"].linear.vectors.any()
    assert bool(found) == (rank == 0 and is_new)
