"""VICReg's and DINO's steps on small tensors: shares, strategies, teacher, what is watched."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from hpctrain.analysis.embeddings import spread
from hpctrain.analysis.embeddings.moments import moments
from hpctrain.comm import Ranks
from hpctrain.comm.single import SingleCommunicator
from hpctrain.config.alarms import PairAlarms
from hpctrain.config.dino import Dino
from hpctrain.config.vicreg import Vicreg
from hpctrain.data.pairs import PairBatch
from hpctrain.errors import ConfigError
from hpctrain.losses.vicreg import vicreg
from hpctrain.tasks.dino.networks import make_networks as make_dino
from hpctrain.tasks.dino.plan import Plan, draw_masks, plan_of
from hpctrain.tasks.dino.task import DinoTask
from hpctrain.tasks.dino.teacher import Teacher
from hpctrain.tasks.pairs import watch
from hpctrain.tasks.pairs.networks import ends_of
from hpctrain.tasks.vicreg.networks import expand
from hpctrain.tasks.vicreg.networks import make_networks as make_vicreg
from hpctrain.tasks.vicreg.task import VicregTask
from hpctrain.train.alarms import few_directions, kinds, like_embeddings, teacher_entropy
from hpctrain.train.precision import Precision
from hpctrain.train.setup import _trial_step
from hpctrain.train.task import Position
from hpctrain.train.update import Update

CPU = torch.device("cpu")
VIT = {"kind": "vit", "size": "tiny", "depth": 1, "patch_size": 8}
PLAIN: dict[str, Any] = {"epochs": 4, "global_batch_size": 4, "backbone": VIT}
SGD = {"name": "SGD", "learning_rate": 0.1, "weight_decay": 0.01, "exclude_1d": True}
CHANNELS, SIZES = {"rgb": 3, "ir": 3}, {"rgb": (16, 24), "ir": (16, 24)}


def vicreg_block(**given: Any) -> Vicreg:
    return Vicreg(task="vicreg", expander=(8, 8), optimizer=SGD, **{**PLAIN, **given})


def dino_block(**given: Any) -> Dino:
    head = {"prototypes": 12, "hidden": 8, "bottleneck": 4}
    return Dino(task="dino", head=head, optimizer=SGD, **{**PLAIN, **given})


def batch(ids: tuple[int, ...] = (0, 3, 5, 1), local: int = 0, count: int = 1) -> PairBatch:
    """Crops that belong to their numbers."""

    def crop(m: int, v: int, size: tuple[int, int]) -> Tensor:
        sources = (torch.Generator().manual_seed(100 * i + 10 * m + v) for i in ids)
        return torch.stack([torch.randn(3, *size, generator=source) for source in sources])

    crops = {
        name: (
            *(crop(m, v, (16, 24)) for v in range(count)),
            *(crop(m, count + v, (8, 8)) for v in range(local)),
        )
        for m, name in enumerate(("rgb", "ir"))
    }
    return PairBatch(ids, 2, crops, count, num_global=len(ids))


def alone() -> SingleCommunicator:
    return SingleCommunicator(Ranks(0, 1, 0, 1, "here"), CPU)


class VicregBench(VicregTask):
    """The task without its data."""

    def __init__(self, block: Vicreg) -> None:
        self.settings, self.ends = block, ends_of(block)
        torch.manual_seed(0)
        self.models = make_vicreg(block, CHANNELS, SIZES)


class DinoBench(DinoTask):
    """The same."""

    def __init__(self, block: Dino) -> None:
        self.settings, self.ends, self.total_steps = block, ends_of(block), 10
        self.teacher = Teacher(block, self.ends)
        torch.manual_seed(0)
        self.models = make_dino(block, CHANNELS, SIZES)


def step(task: Any, own: PairBatch, at: Position, accumulate: int = 1) -> dict[str, Tensor]:
    update = Update(alone(), task.build_optimizers(task.models), accumulate=accumulate)
    return task.training_step(own, update, at)


def weights(task: Any) -> dict[str, Tensor]:
    return {f"{n}.{k}": v for n, m in task.models.items() for k, v in m.state_dict().items()}


def test_vicreg__is_the_loss_of_both_branches_whatever_the_order() -> None:
    block = vicreg_block(backbone={**VIT, "drop_path": 0.5, "depth": 2})
    losses = []
    for ids in ((0, 3, 5, 1), (1, 5, 0, 3)):
        found = step(VicregBench(block), batch(ids), Position())
        assert list(found) == ["vicreg", "invariance", "variance", "covariance"]
        losses.append(float(found["vicreg"]))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    plain = VicregBench(vicreg_block(share_backbone=True))
    own = batch()
    x, y = (plain.models["expander"](plain.models["backbone"](own.crops[m][0])) for m in own.crops)
    expected = float(vicreg(x, y).loss.detach())
    assert float(step(plain, own, Position())["vicreg"]) == pytest.approx(expected, rel=1e-5)


def test_vicreg__is_validated_with_the_means_of_the_watched_pairs() -> None:
    task = VicregBench(vicreg_block())
    expander, rows = task.models["expander_rgb"], torch.randn(6, 192, dtype=torch.float64)
    kept = copy.deepcopy(expander.state_dict())
    expected = expander.train()(rows.float()).detach().double()
    expander.load_state_dict(kept)
    torch.testing.assert_close(expand(expander.eval(), rows), expected)
    torch.testing.assert_close(expander.state_dict(), kept)


def test_plan__by_strategy_and_step() -> None:
    both, rgb, ir = ("rgb", "ir"), ("rgb",), ("ir",)
    for strategy, plans in {
        "alternating": [Plan(rgb, rgb), Plan(ir, ir), Plan(rgb, rgb)],
        "rgb_teacher": [Plan(rgb, ir)] * 3,
        "ir_teacher": [Plan(ir, rgb)] * 3,
        "joint": [Plan(both, both)] * 3,
    }.items():
        assert [plan_of(dino_block(strategy=strategy), s) for s in range(3)] == plans
    assert Plan(both, both).same(2, 3) == [0, 1, None, 2, 3, None]
    assert Plan(rgb, ir).same(2, 3) == [None, None, None]


@pytest.mark.parametrize("strategy", ["alternating", "rgb_teacher", "ir_teacher", "joint"])
@pytest.mark.parametrize("centring", ["centre", "sinkhorn_knopp"])
def test_dino__parts_give_the_step_of_the_whole(strategy: str, centring: str) -> None:
    """Whole, in two micro-batches, and in another order: the same weights, teacher and centre."""
    masking = None if strategy.endswith("teacher") else {"weight": 0.5, "share": 0.9}
    given = {"strategy": strategy, "masking": masking, "centring": {"kind": centring}}
    backbone = {**VIT, "depth": 2, "drop_path": 0.5}
    found = []
    for ids, accumulate in (((0, 3, 5, 1), 1), ((0, 3, 5, 1), 2), ((1, 5, 0, 3), 1)):
        task = DinoBench(dino_block(**given, backbone=backbone, accumulate=accumulate))
        losses = step(task, batch(ids, local=2, count=2), Position(1, 0, 1), accumulate)
        assert all(torch.isfinite(value) for value in losses.values())
        assert ("masked" in losses) == (masking is not None)
        found.append((float(losses["dino"]), weights(task)))
    for loss, own in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-5)
        torch.testing.assert_close(own, found[0][1], rtol=1e-4, atol=1e-6)


def test_dino__teacher_and_centre_follow_by_their_formulas() -> None:
    task = DinoBench(dino_block(strategy="joint", teacher_momentum=0.9, koleo_weight=0.1))
    before, own = copy.deepcopy(task.models), batch(count=2)
    losses = step(task, own, Position(1, 0, 5))
    momentum = 1 - 0.1 * (math.cos(math.pi / 2) + 1) / 2
    for role in ("", "_head"):
        old, new = before[f"teacher{role}"], task.models[f"teacher{role}"]
        for a, b, s in zip(
            old.parameters(),
            new.parameters(),
            task.models[f"student{role}"].parameters(),
            strict=True,
        ):
            torch.testing.assert_close(b, momentum * a + (1 - momentum) * s)
            assert not b.requires_grad
    teacher, head = before["teacher"], before["teacher_head"]
    logits = [head(teacher(crop)) for m in own.crops for crop in own.crops[m]]
    mean = torch.cat(logits).mean(0).detach()
    torch.testing.assert_close(task.models["centre"].of("classes", ""), 0.1 * mean)
    assert float(losses["teacher_entropy"]) < math.log(12)
    assert float(losses["koleo"]) != 0


def test_dino__prototypes_stay_in_the_first_epochs_and_are_not_decayed() -> None:
    for epoch, stays in ((0, True), (1, False)):
        task = DinoBench(dino_block(strategy="joint"))
        head = task.models["student_head"]
        old = copy.deepcopy(head.state_dict())
        step(task, batch(count=2), Position(epoch, 0, 0))
        assert torch.equal(head.prototypes, old["prototypes"]) == stays
        assert not torch.equal(head.mlp[0].weight, old["mlp.0.weight"])


def test_dino__separate_networks_of_a_joint_training() -> None:
    task = DinoBench(dino_block(strategy="joint", share_backbone=False))
    names = {"student_rgb", "student_ir", "student_head_rgb", "student_head_ir"}
    names |= {name.replace("student", "teacher") for name in names}
    assert set(task.models) == names | {"centre"}
    old = copy.deepcopy(weights(task))
    step(task, batch(count=2), Position(1, 0, 0))
    moved = {
        n.split(".")[0] for n, value in weights(task).items() if not torch.equal(value, old[n])
    }
    assert moved == set(task.models)
    assert list(task.encoders()) == ["rgb", "ir"]


def test_masks__belong_to_their_sample() -> None:
    masking = dino_block(strategy="joint", masking={"share": 0.6, "ratio": (0.2, 0.4)}).masking
    assert masking is not None
    ids = tuple(range(200))
    found = draw_masks(masking, 20, 2, 7, 3, ids, "rgb")
    counts = found.sum(1)
    hidden = counts[counts > 0]
    assert (int(hidden.min()), int(hidden.max())) == (4, 8)
    assert len(hidden) / len(counts) == pytest.approx(0.6, abs=0.08)
    one = draw_masks(masking, 20, 2, 7, 3, (5,), "rgb")
    assert torch.equal(one, found.view(2, 200, 20)[:, 5])
    assert not torch.equal(draw_masks(masking, 20, 2, 7, 3, ids, "ir"), found)


def test_measures__of_perfect_of_equal_and_of_flat_embeddings() -> None:
    x = torch.randn(40, 6, generator=torch.manual_seed(0), dtype=torch.float64)
    equal = torch.ones_like(x)
    line = x[:, :1] * torch.arange(1.0, 7.0, dtype=torch.float64) + 3
    assert watch.first_share(x, 3 * x) == 1
    assert watch.first_share(x, x.roll(1, 0)) == 0
    assert watch.first_share(equal, equal) == 0
    assert watch.effective_rank(line) == pytest.approx(1)
    assert watch.effective_rank(x) > 5
    assert watch.relative_std(equal) == 0
    assert watch.relative_std(x) == pytest.approx(1, abs=0.1)
    assert watch.effective_rank(equal) == 0


def test_effective_rank__is_that_of_the_evaluation_and_tells_one_number_from_two() -> None:
    source = torch.manual_seed(0)
    ranks = []
    for numbers in (1, 2):
        told = torch.randn(256, numbers, generator=source, dtype=torch.float64)
        maps = torch.randn(1 + numbers, 96, generator=source, dtype=torch.float64)
        x = torch.tanh(0.3 * told @ maps[1:] + maps[0])
        ranks.append(watch.effective_rank(x))
        judged = spread.effective_rank(moments({"rgb": x.numpy()}), "rgb")
        assert judged == pytest.approx(ranks[-1], rel=1e-5)
    limit = PairAlarms().effective_rank
    assert 1.5 < ranks[0] < limit < 2 * limit < ranks[1]
    equal = torch.ones(9, 4, dtype=torch.float64)
    assert spread.effective_rank(moments({"rgb": equal.numpy()}), "rgb") == 0


@pytest.mark.parametrize("rows", [4, 6, 8, 12, 16, 64, 256])
def test_few_directions__is_told_of_one_number_by_any_count_of_rows(rows: int) -> None:
    """Curves of one number raise it in nine draws of ten, surfaces of two in one of ten."""
    source, limit = torch.manual_seed(0), PairAlarms().effective_rank
    told = {1: 0, 2: 0}
    for numbers in told:
        for _ in range(40):
            own = torch.randn(rows, numbers, generator=source, dtype=torch.float64)
            maps = torch.randn(1 + numbers, 96, generator=source, dtype=torch.float64)
            rank = watch.effective_rank(torch.tanh(0.3 * own @ maps[1:] + maps[0]))
            told[numbers] += bool(few_directions("rgb", rank, limit, rows))
    assert told[1] >= 36
    assert told[2] <= 4


@pytest.mark.parametrize(("rows", "neighbours"), [(4, 50), (12, 3), (12, 1)])
def test_neighbours__any_number_of_rows_and_labels(rows: int, neighbours: int) -> None:
    labels = torch.arange(rows) % 2
    x = torch.eye(2, dtype=torch.float64)[labels] + 0.01 * torch.rand(rows, 2).double()
    assert watch.neighbour_share(x, labels, neighbours) == 1
    assert watch.neighbour_share(x, torch.arange(rows), neighbours) == 0


def fake_dataset(values: list[str]) -> Any:
    columns = SimpleNamespace(names=("id", "view"))

    class Row(dict[str, str]):
        pass

    rows = [Row(view=value) for value in values]
    for row in rows:
        row.columns = columns  # type: ignore[attr-defined]

    class Rows(list[Any]):
        rows: list[Any]

    found = Rows(rows)
    found.rows = rows
    return found


def test_watched__refuses_what_tells_nothing() -> None:
    block = vicreg_block(watch={"samples": 6, "column": "view"}).watch
    with pytest.raises(ConfigError, match="3 validation pairs, and 4 at least"):
        watch.Watched(fake_dataset(["a", "b", "a"]), block)
    with pytest.raises(ConfigError, match="all 6 watched .* have the view 'a'"):
        watch.Watched(fake_dataset(["a"] * 9), block)
    other = vicreg_block(watch={"column": "day"}).watch
    with pytest.raises(ConfigError, match="no column 'day'; choose from id, view"):
        watch.Watched(fake_dataset(["a"] * 9), other)


def test_watched__rows_add_up_over_batches() -> None:
    dataset = fake_dataset(["a", "b"] * 5)
    watched = watch.Watched(dataset, vicreg_block(watch={"samples": 5, "column": "view"}).watch)
    assert len(watched.numbers) == 5
    x, sums = torch.randn(10, 3), {}
    for ids in ((0, 1, 2), (3, 4, 5, 6), (7, 8, 9)):
        own = PairBatch(ids, 0, {}, 1)
        for key, value in watched.rows(own, {"rgb": x[list(ids)], "ir": -x[list(ids)]}).items():
            sums[key] = sums[key] + value if key in sums else value
    torch.testing.assert_close(sums["rgb"], x[list(watched.numbers)].double())
    scalars = watched.scalars(sums, {"rgb": sums["rgb"], "ir": sums["rgb"]})
    assert scalars["r1_rgb_to_ir"] == 1
    assert {"knn_rgb", "std_ir", "effective_rank_ir"} <= set(scalars)
    assert watched.chances() == {"r1": 1 / 5, "knn": 0.6}


def test_alarms__tell_their_number() -> None:
    assert kinds(like_embeddings("rgb", 0.01, 0.02)) == {"like_embeddings_rgb"}
    assert like_embeddings("rgb", 0.03, 0.02) == []
    (alarm,) = few_directions("ir", 1.2, 1.5, 64)
    assert alarm.kind == "few_directions_ir"
    assert "64 embeddings have the effective rank 1.20 (alarm below 1.48)" in alarm.text
    assert few_directions("ir", 1.2, 0, 64) == []
    assert few_directions("ir", 1.2, 1, 64) == []
    assert kinds(few_directions("ir", 0.9, 1, 4)) == {"few_directions_ir"}
    assert kinds(teacher_entropy(math.log(8), 1.0, 8, 0.02)) == {"uniform_teacher"}
    assert kinds(teacher_entropy(0.01, 0.01, 8, 0.02)) == {"constant_teacher"}
    assert teacher_entropy(0.5, 1.5, 8, 0.02) == []


@pytest.mark.parametrize(
    ("make", "given", "text"),
    [
        (vicreg_block, {"accumulate": 2}, "accumulate: found 2; variances"),
        (vicreg_block, {"last_batch": "keep"}, "last_batch: keep does not go with task vicreg"),
        (vicreg_block, {"share_backbone": True, "ir_backbone": VIT}, "ir_backbone has no effect"),
        (vicreg_block, {"reduction": {"op": "adasum"}}, "reduction.op: adasum does not go"),
        (vicreg_block, {"checkpoints": {"best": "validation/auc"}}, "best: unknown"),
        (vicreg_block, {"watch": {"neighbours": 3}}, "watch.neighbours has no effect"),
        (dino_block, {"share_backbone": False}, "share_backbone: false does not go with strategy"),
        (dino_block, {"ema": {"models": ["student"]}}, "ema: the teacher is the moving average"),
        (dino_block, {"koleo_weight": 0.1, "accumulate": 2}, "koleo_weight does not go"),
        (dino_block, {"masking": {}, "strategy": "ir_teacher"}, "masking does not go with"),
        (dino_block, {"masking": {}, "backbone": {"kind": "resnet"}}, "has no patches to hide"),
        (dino_block, {"teacher_temperature": {"last": 0.07}}, "do not go with warmup_steps 0"),
        (dino_block, {"centring": {"iterations": 5}}, "iterations has no effect"),
    ],
)
def test_blocks__refuse_what_has_no_effect_or_cannot_be(make: Any, given: Any, text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        make(**given)


def test_trial__of_a_precision_takes_the_steps_of_both_tasks() -> None:
    for task in (VicregBench(vicreg_block()), DinoBench(dino_block(strategy="joint"))):
        old = copy.deepcopy(weights(task))
        task.job = SimpleNamespace(train=task.settings)  # type: ignore[assignment]
        own = batch(count=1 if isinstance(task, VicregBench) else 2)
        _trial_step(task, own, alone(), Precision("bfloat16", "tried"))
        torch.testing.assert_close(weights(task), old, rtol=0, atol=0)
