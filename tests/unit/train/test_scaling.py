"""float16's scaled losses: steps that overflow are left out on all ranks and counted."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.comm import Communicator, Handle, Ranks
from hpctrain.comm.base import Op
from hpctrain.comm.single import SingleCommunicator
from hpctrain.train.scaling import LossScalers
from hpctrain.train.update import Update

CPU = torch.device("cpu")


class OverflowElsewhere(Communicator):
    """Another rank, whose gradient is infinite when told so, else that of this one."""

    kind = "two"
    is_infinite = False

    def __init__(self) -> None:
        super().__init__(Ranks(0, 2, 0, 2, "here"), CPU)

    def allreduce_async(self, tensor: Tensor, name: str, op: Op = "mean") -> Handle:
        class Join:
            def wait(own) -> None:
                if self.is_infinite:
                    tensor[0] = float("inf")

        return Join()

    def broadcast(self, tensors: Iterable[Tensor]) -> None: ...

    def allgather_object(self, value: Any) -> list[Any]:
        return [value, value]

    def close(self) -> None: ...


def made(comm: Communicator) -> tuple[nn.Module, Update, LossScalers]:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizers = {"g": torch.optim.Adam(model.parameters(), lr=0.1)}
    scalers = LossScalers(optimizers, CPU)
    return model, Update(comm, optimizers, scalers=scalers, clip_grad_norm=0.5), scalers


def step(model: nn.Module, update: Update, factor: float = 1.0) -> None:
    x = torch.tensor([[1.0, 2.0, 3.0]])
    update("g", lambda _: {"loss": model(x).square().mean() * factor}, [None])


def test_step__equals_one_without_scaling() -> None:
    comm = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), CPU)
    model, update, scalers = made(comm)
    plain, unscaled, _ = made(comm)
    unscaled.scalers = None
    for _ in range(5):
        step(model, update)
        step(plain, unscaled)
    assert scalers.skipped == {"g": 0}
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_overflow_of_another_rank__leaves_the_step_out_here_too() -> None:
    comm = OverflowElsewhere()
    model, update, scalers = made(comm)
    step(model, update)
    before = [p.detach().clone() for p in model.parameters()]
    scale = scalers.now()["loss_scale/g"]
    comm.is_infinite = True
    step(model, update)
    for a, b in zip(model.parameters(), before, strict=True):
        assert torch.equal(a, b)
    assert scalers.now() == {"loss_scale/g": scale / 2, "skipped_steps/g": 1}
    comm.is_infinite = False
    step(model, update)
    assert not torch.equal(next(model.parameters()), before[0])


def test_state__comes_back_through_a_checkpoint(tmp_path: Path) -> None:
    model, update, scalers = made(SingleCommunicator(Ranks(0, 1, 0, 1, "here"), CPU))
    step(model, update, factor=1e38)
    torch.save(scalers.save(), tmp_path / "s.pt")
    other = made(SingleCommunicator(Ranks(0, 1, 0, 1, "here"), CPU))[2]
    other.restore(torch.load(tmp_path / "s.pt", weights_only=True))
    assert scalers.skipped == other.skipped == {"g": 1}
    step(model, update)
    assert other.save()["g"]["scale"] == scalers.save()["g"]["scale"] == 32768.0
