"""Ink: validation by histograms, the picture of a region, balance, weights out of a VAE."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from hpctrain.config.ink import Ink
from hpctrain.data.scroll import ScrollBatch
from hpctrain.errors import ConfigError, DataError
from hpctrain.models.vae import Vae3d
from hpctrain.tasks.ink.criterion import InkCriterion
from hpctrain.tasks.ink.evaluation import InkEvaluation, balance, check_ink
from hpctrain.tasks.ink.networks import begin_with_vae, freeze, make_ink
from hpctrain.tasks.ink.region import Region
from hpctrain.train.alarms import kinds
from hpctrain.train.checkpoint import CheckpointFolder
from hpctrain.train.modes import evaluating
from tests.unit.data.scroll.builders import datasets, scroll, write_fragment
from tests.unit.data.scroll.builders import ink as ink_label

ROWS, COLUMNS = 8, 16


def settings(**given: Any) -> Ink:
    return Ink(**{"task": "ink", "epochs": 1, "global_batch_size": 4, **given})


def surface() -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels and mask of a small surface, of which a third is no papyrus."""
    generator = torch.Generator().manual_seed(0)
    label = (torch.rand(ROWS, COLUMNS, generator=generator) < 0.3).float()
    logits = torch.randn(ROWS, COLUMNS, generator=generator) + label
    mask = torch.rand(ROWS, COLUMNS, generator=generator) < 0.7
    return logits, label, mask


def windows(*columns: int) -> ScrollBatch:
    """Windows of 8 x 4 pixels of that surface, whose volumes hold the logits."""
    logits, label, mask = surface()
    parts = [slice(x, x + 4) for x in columns]
    cut = [torch.stack([own[:, part] for part in parts]) for own in (logits, label, mask)]
    origins = torch.tensor([(3, 100, 50 + x) for x in columns])
    sources = ("roll",) * len(columns)
    ids = tuple(x // 4 for x in columns)
    return ScrollBatch(ids, 0, cut[0][:, None, None], *cut[1:], origins, sources, num_global=4)


class Given(nn.Module):
    """Takes the logits out of the volume."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0, 0]


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.full_like(x[:, 0, 0], -1.0)


def validated(network: nn.Module, *batches: ScrollBatch, region: Region | None = None) -> Any:
    block = settings()
    evaluation = InkEvaluation(block, InkCriterion(block.loss, 1.0), region)
    sums: dict[str, Tensor] = {}
    for own in batches:
        for key, value in evaluation.sums(own, network).items():
            sums[key] = sums[key] + value if key in sums else value
    return evaluation.result(sums), evaluation


def test_validation__equals_brute_force_in_any_shares() -> None:
    (one, _), (two, _) = (
        validated(Given(), *batches)
        for batches in ((windows(0, 4, 8, 12),), (windows(0), windows(8, 4, 12)))
    )
    assert one.scalars == pytest.approx(two.scalars, rel=1e-6)
    logits, label, mask = (own.numpy() for own in surface())
    scores, is_ink = logits[mask], label[mask] > 0.5
    pairs = scores[is_ink][:, None] > scores[~is_ink][None]
    assert one.scalars["auc"] == pytest.approx(pairs.mean(), abs=2e-3)
    best = 0.0
    for threshold in scores:
        says = scores >= threshold
        true = (says & is_ink).sum()
        best = max(best, 1.25 * true / (says.sum() + 0.25 * is_ink.sum()))
    assert one.scalars["f05"] == pytest.approx(best, abs=1e-6)
    says = scores >= np.log(one.scalars["f05_threshold"] / (1 - one.scalars["f05_threshold"]))
    f = 1.25 * (says & is_ink).sum() / (says.sum() + 0.25 * is_ink.sum())
    assert f == pytest.approx(best, abs=1e-6), "the threshold is the one that gives it"
    p = 1 / (1 + np.exp(-scores))
    ratio = p.var() / label[mask].var()
    assert one.scalars["output_variance"] == pytest.approx(ratio, rel=1e-4)
    assert one.scalars["calibration_error"] == pytest.approx(
        one.files["ink.json"]["calibration_error"]
    )
    assert one.alarms == []
    assert one.files["summary.json"]["pixels"] == mask.sum()


def test_validation__of_a_net_that_says_one_thing_is_an_alarm() -> None:
    found, _ = validated(Constant(), windows(0, 4, 8, 12))
    assert kinds(found.alarms) == {"constant_output"}
    assert found.scalars["auc"] == pytest.approx(0.5)


def test_validation__without_ink_has_no_score(tmp_path: Path) -> None:
    bare = windows(0, 4, 8, 12)
    assert bare.label is not None
    bare.label.zero_()
    found, evaluation = validated(Given(), bare)
    assert all(np.isnan(found.scalars[name]) for name in ("f05", "dice", "f05_threshold", "auc"))
    assert found.files["summary.json"]["f05"] is None
    json.dumps(found.files, allow_nan=False)
    draw = dict(evaluation.curves(1))["ink_curves"]
    assert "threshold (no ink)" in [axes.get_xlabel() for axes in draw().axes]


@pytest.mark.parametrize("held_out", ["bare", "masked", "ink"])
def test_check_ink__wants_ink_on_valid_pixels(held_out: str, tmp_path: Path) -> None:
    labels = ink_label()
    if held_out == "bare":
        labels[:, 40:] = False
    fragment = write_fragment(tmp_path / "1", labels=labels)
    if held_out == "masked":
        mask = np.full(labels.shape, 255, np.uint8)
        mask[labels] = 0
        Image.fromarray(mask).save(fragment / "mask.png")
    block = scroll(tmp_path, window=[3, 8, 8], validation={"columns": [40, 60]})
    _, validation = datasets(block)
    if held_out == "ink":
        check_ink(validation)
        return
    with pytest.raises(DataError, match=r"data.validation: none of the \d+ held-out windows of 1"):
        check_ink(validation)


def test_region__is_put_together_from_windows_that_overlap() -> None:
    region = Region("roll", (100, 108), (50, 66))
    _, evaluation = validated(Given(), windows(0, 4, 2), windows(8, 12), region=region)
    logits, label, mask = (own.numpy() for own in surface())
    pictures = evaluation._pictures
    assert np.isnan(pictures["label"][~mask]).all()
    np.testing.assert_allclose(pictures["label"][mask], label[mask])
    expected = 1 / (1 + np.exp(-logits[mask]))
    np.testing.assert_allclose(pictures["probability"][mask], expected, rtol=1e-6)
    elsewhere = Region("other", (100, 108), (50, 66))
    assert elsewhere.sums(windows(0), torch.zeros(1, 8, 4))["region/count"].sum() == 0


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_region__of_a_gpu_is_summed_in_a_fixed_order() -> None:
    region, own = Region("roll", (100, 108), (50, 66)), windows(0, 4, 2)
    probability = torch.sigmoid(own.volume[:, 0, 0])
    expected = region.sums(own, probability)
    torch.use_deterministic_algorithms(True)
    try:
        found = region.sums(own.to(torch.device("cuda")), probability.cuda())
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(found[key].cpu(), expected[key]) for key in expected)


def test_region__that_is_large_has_coarse_cells() -> None:
    region = Region("roll", (100, 108), (50, 50 + 1500))
    assert (region.factor, region.shape) == (3, (3, 500))
    own = windows(0, 4, 8, 12)
    sums = region.sums(own, torch.sigmoid(own.volume[:, 0, 0]))
    assert sums["region/count"].sum() == own.mask.sum()
    assert sums["region/label"][0, 0] == surface()[1][:3, :3][surface()[2][:3, :3]].sum()


def test_figures__show_windows_region_and_curves() -> None:
    region = Region("roll", (100, 108), (50, 66))
    _, evaluation = validated(Given(), windows(0, 4, 8, 12), region=region)
    evaluation._infrared = lambda: np.random.default_rng(0).random((8, 16))
    found = dict(evaluation.figures(3))
    assert list(found) == ["ink_curves", "ink_error_by_distance", "ink_windows", "ink_region"]
    titles = [axes.get_title() for axes in found["ink_region"]().axes]
    assert titles == ["infrared", "labels (white: ink)", "probability of ink (white: 1)"]
    names = "ink_curves", "ink_error_by_distance", "ink_windows"
    assert all(found[name]().axes for name in names)


def test_validation__tells_the_error_towards_the_edges_of_windows() -> None:
    own = windows(0, 4, 8, 12)
    found, _ = validated(Given(), own)
    curve = found.files["summary.json"]["error_by_distance"]
    p = torch.sigmoid(own.volume[:, 0, 0])
    error, mask = (p - own.label).square()[:, 3:5, 1:3], own.mask[:, 3:5, 1:3]
    # rows 3 and 4 of 8 lie within 1/8 and columns 1 and 2 of 4 within 1/4 of the centre
    assert curve["distance"] == [0.25, 0.375, 0.625, 0.75, 0.875]
    assert curve["mse"][0] == pytest.approx(float(error[mask].mean()), rel=1e-6)
    assert own.mask.sum() < own.mask.numel(), "pixels off the papyrus do not count"


def test_balance__is_bare_pixels_over_ink_within_the_mask() -> None:
    own = windows(0, 4, 8, 12)
    assert own.label is not None
    ink = float(own.label[own.mask].sum())
    assert balance(own) == pytest.approx((int(own.mask.sum()) - ink) / ink)
    own.label.zero_()
    with pytest.raises(DataError, match="4 training windows have 0 pixels of ink among"):
        balance(own)
    own.label.fill_(1)
    with pytest.raises(DataError, match="give a number, or let data.ink_share"):
        balance(own)


def test_criterion__adds_the_parts_with_their_weights() -> None:
    logits, label, mask = (own[None] for own in surface())
    names = {"bce": {"bce": 1}, "dice": {"bce": 0, "dice": 1}, "focal": {"bce": 0, "focal": 1}}
    names["f_beta"] = {"bce": 0, "f_beta": 1}
    one = {
        name: float(InkCriterion(settings(loss=block).loss, 2.0)(logits, label, mask))
        for name, block in names.items()
    }
    block = settings(loss={"bce": 0.5, "dice": 2, "focal": 3, "f_beta": 4, "label_smoothing": 0.2})
    both = InkCriterion(block.loss, 2.0)
    found = float(both(logits, label, mask, is_trained=False))
    expected = 0.5 * one["bce"] + 2 * one["dice"] + 3 * one["focal"] + 4 * one["f_beta"]
    assert found == pytest.approx(expected, rel=1e-6)
    assert float(both(logits, label, mask)) != pytest.approx(expected, rel=1e-3)


def test_criterion__smooths_labels_of_cross_entropies_alone() -> None:
    """A window without ink stays without it, with overlaps in the loss and smoothed labels."""
    block = settings(loss={"bce": 1e-3, "dice": 1, "f_beta": 1, "label_smoothing": 0.1})
    logits = torch.full((1, 64, 64), -2.0, requires_grad=True)
    bare, valid = torch.zeros(1, 64, 64), torch.ones(1, 64, 64) > 0
    loss = InkCriterion(block.loss, 1.0)(logits, bare, valid)
    loss.backward()
    assert logits.grad is not None
    assert bool((logits.grad > 0).all()), "a step makes ink less likely"


def vae_checkpoint(folder: Path, channels: int = 3, **more: Any) -> Path:
    torch.manual_seed(0)
    vae = Vae3d((8, 8, 8), 4, channels=channels, layers=2)
    content = {"models": {"vae": vae.state_dict()}, "position": {"epoch": 7}, **more}
    CheckpointFolder(folder, keep_last=1).save(content, 7, 0)
    return folder / "state_7.pt"


def small_net() -> tuple[Ink, nn.Module]:
    block = settings(network={"kind": "encoder_decoder", "channels": 3, "layers": 2})
    return block, make_ink(block, (8, 16, 16))


def test_weights__are_a_vaes_and_frozen_ones_stay(tmp_path: Path) -> None:
    path = vae_checkpoint(tmp_path)
    block = settings(
        network={"kind": "encoder_decoder", "channels": 3, "layers": 2},
        initial_weights={"path": str(path), "encoder": "frozen"},
    )
    assert block.initial_weights is not None
    network = make_ink(block, (8, 16, 16))
    begin_with_vae(block.initial_weights, path, network)
    freeze(network)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    theirs = torch.load(path, weights_only=True)["models"]["vae"]
    assert torch.equal(before["encoder.layers.0.0.weight"], theirs["encoder.layers.0.0.weight"])
    optimizer = torch.optim.Adam((p for p in network.parameters() if p.requires_grad), 0.1)
    with evaluating({"ink": network}):
        pass
    network(torch.randn(2, 1, 8, 16, 16)).square().sum().backward()
    optimizer.step()
    after = network.state_dict()
    moved = {key.split(".")[0] for key in after if not torch.equal(after[key], before[key])}
    assert moved == {"up", "merge", "head"}


def test_weights__averages_are_taken_where_there_are_some(tmp_path: Path) -> None:
    name = "encoder.layers.0.0.bias"
    ema = {"models": {"vae": {name: torch.tensor([5.0, 6.0, 7.0])}}}
    path = vae_checkpoint(tmp_path, ema=ema)
    block, network = small_net()
    begin_with_vae(Ink.model_fields["initial_weights"].default, path, network)
    assert network.state_dict()[name].tolist() == [5.0, 6.0, 7.0]


def test_weights__of_something_else_are_refused(tmp_path: Path) -> None:
    _, network = small_net()
    path = vae_checkpoint(tmp_path, channels=4)
    with pytest.raises(
        ConfigError, match=r"is \(4,\) .*give block, channels and layers as the VAE"
    ):
        begin_with_vae(None, path, network)  # type: ignore[arg-type]
    content = {"models": {"generator": {}}, "position": {"epoch": 7}}
    CheckpointFolder(tmp_path, keep_last=1).save(content, 7, 0)
    with pytest.raises(ConfigError, match="holds generator, and no vae"):
        begin_with_vae(None, path, network)  # type: ignore[arg-type]
