"""A loss of the whole batch on many ranks: gradients are those of one rank that has all of it.

Started under mpirun through rank.sh; every rank computes the reference by itself.
"""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from hpctrain.comm import Communicator, Ranks, start
from hpctrain.comm.batch_norm import SyncBatchNorm, synchronise
from hpctrain.comm.single import SingleCommunicator
from hpctrain.data.sampler import share
from hpctrain.losses.koleo import koleo
from hpctrain.losses.vicreg import vicreg
from hpctrain.models.heads import Expander
from hpctrain.train.update import Update

FEATURES = 6


class Part(SimpleNamespace):
    """A share of a batch; its only micro-batch is itself."""

    def micro(self, count: int) -> list[Part]:
        assert count == 1
        return [self]


def part_of(rows: Tensor, rank: int, world_size: int) -> Part:
    ids = share(range(len(rows)), rank, world_size)
    own = rows[list(ids) or [0]]
    return Part(rows=own, num_samples=len(ids), num_global=len(rows))


def networks() -> nn.ModuleDict:
    torch.manual_seed(0)
    made = {name: nn.Sequential(nn.Linear(4, 5), Expander(5, [7, FEATURES])) for name in "xy"}
    return nn.ModuleDict(made).double()


def losses(update: Update, models: nn.ModuleDict, part: Part) -> dict[str, Tensor]:
    """VICReg of both branches, and KoLeo of one, as DINO has it."""
    x, y = (update.gather(name, models[name](part.rows), part) for name in "xy")
    spread = koleo(x)
    return {"loss": vicreg(x, y).loss + spread + models["x"](part.rows).square().mean()}


def stepped(comm: Communicator, rows: Tensor) -> tuple[nn.ModuleDict, Tensor, list[Tensor]]:
    models = networks()
    for name in "xy":
        models[name] = synchronise(models[name], comm)
    optimizer = torch.optim.SGD(models.parameters(), lr=0.1)
    update = Update(comm, {"both": optimizer})
    found: dict[str, Tensor] = {}
    for _ in range(2):
        part = part_of(rows, comm.rank, comm.world_size)
        found = update("both", lambda own: losses(update, models, own), update.split(part))
    mean = comm.allreduce(found["loss"].clone(), "loss", "mean")
    slopes = [p.grad.clone() for p in models.parameters() if p.grad is not None]
    return models, mean, slopes


def equals_one_rank(comm: Communicator, num_samples: int) -> None:
    source = torch.Generator().manual_seed(num_samples)
    rows = torch.randn(num_samples, 4, generator=source, dtype=torch.float64)
    alone = SingleCommunicator(Ranks(0, 1, 0, 1, "here"), torch.device("cpu"))
    expected, loss, slopes = stepped(alone, rows)
    SyncBatchNorm.is_counted = True
    found, own_loss, own_slopes = stepped(comm, rows)
    exact: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-12}
    torch.testing.assert_close(own_loss, loss, **exact)
    for slope, wanted in zip(own_slopes, slopes, strict=True):
        torch.testing.assert_close(slope, wanted, **exact)
    torch.testing.assert_close(found.state_dict(), expected.state_dict(), **exact)
    assert copy.deepcopy(found) is not None


def main(kind: str, folder: Path) -> None:
    torch.set_num_threads(1)
    comm = start(kind, Ranks.from_environment(), folder)
    for num_samples in (2 * comm.world_size, comm.world_size + 1, comm.world_size - 1):
        if num_samples > 2:
            equals_one_rank(comm, num_samples)
    comm.barrier()
    comm.close()
    print(f"rank {comm.rank} of {kind}: all well", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
