"""Self-distillation against its formulas, pair by pair in float64; schedules at their ends."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from hpctrain.losses import dino
from hpctrain.losses.ibot import ibot_loss
from hpctrain.losses.koleo import koleo

B, K = 3, 700
"""So many classes that a block of the CPU's loop holds some rows, and the last one fewer."""


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(x: Tensor) -> Tensor:
    e = torch.exp(x - x.max(-1, keepdim=True).values)
    return e / e.sum(-1, keepdim=True)


def pairs(
    student: Tensor, targets: list[Tensor], same: list[int | None], temperature: float
) -> Tensor:
    """Equation 3 of the paper: every target with every crop that is another picture."""
    terms = []
    for q, target in enumerate(targets):
        for v, crop in enumerate(student):
            if same[v] != q:
                log = torch.log(softmax(crop / temperature))
                terms.append(-(target * log).sum(-1).mean())
    return torch.stack(terms).mean()


@pytest.mark.parametrize(
    ("num_targets", "same"),
    [(2, [0, 1, None, None]), (1, [0, None, None, None]), (4, [0, 1, 2, 3]), (2, [None] * 4)],
)
def test_loss_and_gradient__equal_the_formula(num_targets: int, same: list[int | None]) -> None:
    student = randn(4, B, K).requires_grad_()
    targets = [softmax(4 * randn(B, K, seed=n + 1)) for n in range(num_targets)]
    found = dino.dino_loss([student[:2], student[2:]], targets, same, 0.2)
    expected = pairs(student, targets, same, 0.2)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    (slope,) = torch.autograd.grad(3 * found, student)
    (wanted,) = torch.autograd.grad(3 * expected, student)
    torch.testing.assert_close(slope, wanted, rtol=1e-10, atol=1e-14)


def test_loss__in_blocks_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    student, targets = randn(2, 5, K).requires_grad_(), [softmax(randn(5, K, seed=1))]
    whole = dino.dino_loss([student], targets, [None, None])
    monkeypatch.setattr("hpctrain.losses.cross_entropy._BLOCK", 2 * K)
    found = dino.dino_loss([student], targets, [None, None])
    torch.testing.assert_close(found, whole, rtol=1e-12, atol=0)
    slopes = [torch.autograd.grad(loss, student)[0] for loss in (found, whole)]
    torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-16)


def test_loss__is_finite_for_wild_logits_and_half_precision() -> None:
    wild = (1000 * randn(2, B, K)).bfloat16().requires_grad_()
    loss = dino.dino_loss([wild], [softmax(randn(B, K)).float()], [None, None])
    loss.backward()
    assert loss.dtype == torch.float32
    assert wild.grad is not None
    assert wild.grad.dtype == torch.bfloat16
    assert torch.isfinite(loss)
    assert torch.isfinite(wild.grad).all()


def test_loss__of_one_picture_with_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="two crops"):
        dino.dino_loss([randn(1, B, K)], [softmax(randn(B, K))], [0])


def test_gradient__may_be_taken_once() -> None:
    student = randn(1, B, K).requires_grad_()
    loss = dino.dino_loss([student], [softmax(randn(B, K))], [None])
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="may be taken once"):
        loss.backward()


def test_centred__equals_the_formula() -> None:
    logits, centre = randn(B, K), randn(K, seed=1)
    expected = softmax((logits - centre) / 0.04)
    torch.testing.assert_close(dino.centred(logits, centre, 0.04), expected, rtol=1e-10, atol=0)


def test_sinkhorn__equals_the_published_rounds_and_uses_all_prototypes_alike() -> None:
    logits = randn(6, 4)
    q = torch.exp(logits / 0.3).T
    q = q / q.sum()
    for _ in range(3):
        q = q / q.sum(1, keepdim=True) / 4
        q = q / q.sum(0, keepdim=True) / 6
    found = dino.sinkhorn_knopp(logits, 0.3)
    torch.testing.assert_close(found, (q * 6).T, rtol=1e-10, atol=0)
    many = dino.sinkhorn_knopp(logits, 0.3, iterations=50)
    torch.testing.assert_close(many.sum(1), torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close(many.sum(0), torch.full((4,), 1.5, dtype=torch.float64))
    assert dino.sinkhorn_knopp(logits[:0], 0.3).shape == (0, 4)


def test_sinkhorn__of_rows_and_prototypes_far_below_the_best_logit() -> None:
    logits = randn(6, 4)
    logits[1] -= 60
    logits[4, 2] += 60
    logits[:, 3] -= 70
    # what float32 loses is still there in exponentials of float64
    q = torch.exp((logits - logits.max()) / 0.3)
    for _ in range(3):
        q = q / q.sum(0)
        q = q / q.sum(1, keepdim=True)
    torch.testing.assert_close(dino.sinkhorn_knopp(logits, 0.3), q, rtol=1e-10, atol=0)
    narrow = dino.sinkhorn_knopp(logits.float(), 0.3)
    torch.testing.assert_close(narrow, q.float(), rtol=1e-3, atol=1e-30)
    wild = dino.sinkhorn_knopp(1000 * logits, 0.04)
    torch.testing.assert_close(wild.sum(1), torch.ones(6, dtype=torch.float64))


def test_sinkhorn__of_rows_on_three_ranks_is_that_of_all() -> None:
    logits = 300 * randn(5, 4)
    parts = [logits[:2], logits[2:2], logits[2:]]
    meeting, told = threading.Barrier(3), [torch.empty(0)] * 3

    def rank(number: int) -> Tensor:
        def join(tensor: Tensor, op: str) -> Tensor:
            told[number] = tensor.clone()
            meeting.wait()
            both = torch.stack(told)
            meeting.wait()
            return tensor.copy_(both.sum(0) if op == "sum" else both.amax(0))

        return dino.sinkhorn_knopp(parts[number], 0.3, join)

    with ThreadPoolExecutor(3) as ranks:
        found = torch.cat(list(ranks.map(rank, range(3))))
    torch.testing.assert_close(found, dino.sinkhorn_knopp(logits, 0.3), rtol=1e-10, atol=1e-300)


def test_entropy__of_certain_and_of_uniform_answers() -> None:
    certain, uniform = torch.eye(3)[:1], torch.full((1, 3), 1 / 3)
    assert dino.entropy(certain).item() == 0
    assert dino.entropy(uniform).item() == pytest.approx(math.log(3))


def test_schedules__at_their_ends_and_between() -> None:
    values = [dino.teacher_temperature(step, 0.04, 0.07, 30) for step in (0, 15, 30, 99)]
    assert values == pytest.approx([0.04, 0.055, 0.07, 0.07])
    assert dino.teacher_temperature(0, 0.04, 0.04, 0) == 0.04
    values = [dino.teacher_momentum(step, 0.996, 100) for step in (0, 50, 100, 150)]
    assert values == pytest.approx([0.996, 0.998, 1.0, 1.0])


def test_koleo__equals_the_formula() -> None:
    x = randn(7, 5).requires_grad_()
    unit = x / x.norm(dim=1, keepdim=True)
    terms = []
    for i in range(7):
        distances = [(unit[i] - unit[j]).square().sum().sqrt() for j in range(7) if j != i]
        terms.append(-torch.log(min(distances, key=lambda d: d.item()) + 1e-8))
    expected = torch.stack(terms).mean()
    torch.testing.assert_close(koleo(x), expected, rtol=1e-10, atol=0)
    slopes = [torch.autograd.grad(loss, x)[0] for loss in (koleo(x), expected)]
    torch.testing.assert_close(*slopes, rtol=1e-9, atol=1e-12)
    assert torch.isfinite(koleo(torch.ones(4, 3)))


def test_ibot__is_a_mean_over_pictures_of_means_over_their_hidden_patches() -> None:
    masked = torch.tensor([[True, False, True], [False, False, False], [False, True, False]])
    student, targets = randn(3, 5).requires_grad_(), softmax(randn(3, 5, seed=1))
    terms = [
        -(t * torch.log(softmax(s / 0.1))).sum() for s, t in zip(student, targets, strict=True)
    ]
    expected = ((terms[0] + terms[1]) / 2 + terms[2]) / 3
    found = ibot_loss(student, targets, masked)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    slopes = [torch.autograd.grad(loss, student)[0] for loss in (found, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-14)
    nothing = ibot_loss(student[:0], targets[:0], torch.zeros(2, 3, dtype=torch.bool))
    assert nothing.item() == 0
