"""The work of a prediction: outputs in waves, in each of which every rank has its blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from hpctrain.comm import Communicator
from hpctrain.predict.outputs import Output
from hpctrain.predict.ranks import OtherRankError, together
from hpctrain.predict.setup import Ready
from hpctrain.predict.tiles import Block

_BLOCK_CELLS = 1 << 26
"""Output cells of a block, all channels: 256 MB."""


class Work:
    """Fills all outputs, on all ranks; half-written ones never appear."""

    def __init__(self, ready: Ready, comm: Communicator) -> None:
        self._ready, self._comm = ready, comm
        channels = ready.trained.channels[1]
        self._blocks = ready.tiling.plan.blocks(_BLOCK_CELLS // channels, comm.world_size)

    def run(self) -> None:
        """Compute and write; all ranks must call, and fail together."""
        outputs = self._ready.outputs
        wave = max(1, self._comm.world_size // len(self._blocks))
        for first in range(0, len(outputs), wave):
            self._fill(range(first, min(first + wave, len(outputs))))
        self._ready.progress.end()

    def _fill(self, numbers: Sequence[int]) -> None:
        """Compute some outputs together, each rank its blocks."""
        outputs = [self._ready.outputs[number] for number in numbers]
        mine = outputs if self._comm.rank == 0 else []
        with ExitStack() as stack:
            for output in mine:
                stack.callback(output.discard)
            together(self._comm, lambda: _each(Output.create, mine))
            together(self._comm, lambda: self._compute(numbers), outputs[0].mark_failed)
            together(self._comm, lambda: _each(Output.publish, mine))
            stack.pop_all()

    def _compute(self, numbers: Sequence[int]) -> None:
        """This rank's blocks; given up as soon as another rank is known to have failed."""
        ready = self._ready
        units = [(number, block) for number in numbers for block in self._blocks]
        for number, block in _share(units, self._comm):
            if self._comm.world_size > 1 and ready.outputs[numbers[0]].is_marked_failed():
                raise OtherRankError
            sample, draw = ready.draws[number]
            values = ready.predictor.block(sample, block, draw, ready.progress.add)
            ready.outputs[number].write(block, values)
            ready.inputs.let_go(sample)
        ready.inputs.close()
        for number in numbers:
            ready.outputs[number].sync()


def _each(work: Callable[[Output], None], outputs: Sequence[Output]) -> None:
    for output in outputs:
        work(output)


def _share(units: Sequence[tuple[int, Block]], comm: Communicator) -> Iterator[tuple[int, Block]]:
    """This rank's units: neighbours in the file, so that ranks read and write apart."""
    n, rank, size = len(units), comm.rank, comm.world_size
    yield from units[rank * n // size : (rank + 1) * n // size]
