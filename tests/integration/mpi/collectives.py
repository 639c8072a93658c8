"""What every communicator must do; two ranks run it under mpirun, through rank.sh."""

from __future__ import annotations

import copy
import os
import sys
from pathlib import Path

import torch
from torch import nn

from hpctrain.comm import Communicator, GradientReducer, Ranks, start
from hpctrain.comm.batch_norm import synchronise
from hpctrain.config.reduction import Reduction


def sums(comm: Communicator) -> None:
    for dtype in (torch.float32, torch.float64, torch.float16, torch.int64):
        mine = torch.full((70_001,), comm.rank + 1).to(dtype)
        comm.allreduce(mine, f"sum.{dtype}", "sum")
        assert mine.eq(3).all(), (dtype, mine[:3])
        if dtype == torch.float16:
            mine.fill_(-comm.rank - 0.5)
            assert comm.allreduce(mine, f"max.{dtype}", "max").eq(-0.5).all()
    largest = comm.allreduce(torch.tensor([float(comm.rank)]), "max", "max")
    mean = comm.allreduce(torch.tensor([float(comm.rank)]), "mean")
    assert (largest.item(), mean.item()) == (1.0, 0.5)


def many_at_once(comm: Communicator) -> None:
    tensors = [torch.full((1000 + i,), float(i)) for i in range(50)]
    handles = [comm.allreduce_async(t, f"many.{i}", "sum") for i, t in enumerate(tensors)]
    for i, handle in enumerate(handles):
        handle.wait()
        assert tensors[i].eq(2 * i).all()


def broadcasts(comm: Communicator) -> None:
    torch.manual_seed(comm.rank)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    model.to(memory_format=torch.channels_last)
    model[1].num_batches_tracked.fill_(comm.rank + 5)
    comm.broadcast(t.data for t in (*model.parameters(), *model.buffers()))
    states = comm.allgather_object({k: v.tolist() for k, v in model.state_dict().items()})
    assert states[0] == states[1]
    assert states[1]["1.num_batches_tracked"] == 5
    torch.manual_seed(0)
    assert torch.equal(model[0].weight, nn.Conv2d(3, 4, 3).weight)


def votes(comm: Communicator) -> None:
    vote, answers = comm.vote(), []
    assert not vote.answer()
    for says_yes in (False, comm.rank == 1, False):
        vote.ask(says_yes)
        answers.append(vote.answer())
    assert answers == [False, True, False]
    assert comm.broadcast_object(f"of {comm.rank}") == "of 0"


def batch_norm(comm: Communicator) -> None:
    torch.manual_seed(0)
    whole = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Tanh(), nn.Conv2d(3, 1, 1))
    whole = whole.double()
    shared = synchronise(copy.deepcopy(whole), comm)
    x = torch.randn(5, 2, 4, 4, dtype=torch.float64)
    whole(x).square().sum().backward()
    reducer = GradientReducer(comm, "norm", list(shared.parameters()), Reduction(bucket_mb=1e-6))
    with reducer.armed():
        shared(x[:1] if comm.rank else x[1:]).square().sum().backward()
    for (name, p), q in zip(whole.named_parameters(), shared.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad, msg=name)
    torch.testing.assert_close(shared.state_dict(), whole.state_dict())


def compression(comm: Communicator) -> None:
    for kind in ("float16", "bfloat16"):
        if (comm.kind, kind) == ("horovod", "bfloat16"):
            continue  # refused when the job is checked
        weight = nn.Parameter(torch.ones(1000))
        reducer = GradientReducer(comm, f"c.{kind}", [weight], Reduction(compression=kind))
        with reducer.armed():
            (weight * (comm.rank + 1) * reducer.loss_factor).sum().backward()
        assert weight.grad is not None
        assert weight.grad.eq(1.5).all()


def adasum(comm: Communicator) -> None:
    if comm.kind != "horovod":
        return
    for second, expected in (([0.0, 1.0], [1.0, 1.0]), ([1.0, 0.0], [1.0, 0.0])):
        weight = nn.Parameter(torch.zeros(2))
        reducer = GradientReducer(comm, f"a.{second}", [weight], Reduction(op="adasum"))
        own = torch.tensor(second if comm.rank else [1.0, 0.0])
        with reducer.armed():
            (weight * own).sum().backward()
        assert weight.grad is not None
        assert weight.grad.tolist() == expected


def main(kind: str, folder: Path) -> None:
    torch.set_num_threads(1)
    comm = start(kind, Ranks.from_environment(), folder)
    assert comm.kind == kind
    assert (comm.control is not None) == ("WITHOUT_MPI4PY" not in os.environ)
    for part in (sums, many_at_once, broadcasts, votes, batch_norm, compression, adasum):
        part(comm)
    comm.barrier()
    comm.close()
    print(f"rank {comm.rank} of {kind}: all well", flush=True)
    os._exit(0)


if __name__ == "__main__":
    if "WITHOUT_MPI4PY" in os.environ:
        sys.modules["mpi4py"] = None  # type: ignore[assignment]
        import hpctrain.comm.mpi_library as library

        library.find_spec = lambda name: None  # type: ignore[assignment]
    main(sys.argv[1], Path(sys.argv[2]))
