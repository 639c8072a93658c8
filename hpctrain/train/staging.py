"""Copies of the data on each node's disk, made before the training; all ranks hear of each node."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpctrain.comm import Communicator
from hpctrain.config.job import Job
from hpctrain.errors import DataError, HpctrainError, TrainError
from hpctrain.index import Index, Row
from hpctrain.log import logger
from hpctrain.staging import Outcome, Source, Stage, size_text
from hpctrain.train.faults.stages import Stages
from hpctrain.train.run import Run, RunState
from hpctrain.train.stop import StopRequest

_STILL_S = 300.0
"""Copying that makes no progress for so long ends the job."""
_STOP_S = 10.0
"""For threads that copy to end; one that hangs in a file system does not keep the job."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
_TOLD_EVERY_S = 10.0


class StagedData:
    """Where this rank reads; on one rank of each node also what is to be taken away.

    Attributes:
        root: folder to read from.
        is_stopped: all ranks were asked to leave before the files were there.
    """

    def __init__(self, root: Path, stage: Stage | None = None, *, is_stopped: bool = False) -> None:
        self.root, self._stage, self.is_stopped = root, stage, is_stopped

    def close(self, *, is_kept: bool) -> None:
        """The training is over; files are kept if a further job comes for them."""
        if self._stage is not None:
            self._stage.leave(is_kept=is_kept)


def stage_data(
    run: Run,
    comm: Communicator,
    hosts: Sequence[str],
    stages: Stages,
    state: RunState,
    stop: StopRequest,
) -> StagedData:
    """Copy what this node's ranks will read, if the job asks for it; every rank must call.

    Args:
        run: the run.
        comm: the ranks.
        hosts: host of every rank.
        stages: told of each exchange, so that only copying that stands still is a hang.
        state: state.json, written by rank 0.
        stop: reasons to leave; copying ends at once, and no step is made.

    Raises:
        DataError: a file is not the one that was indexed; on all ranks.
        TrainError: copying stands still on some node; on all ranks.
    """
    if run.job.data.stage == "none":
        return StagedData(run.read_index().root)
    copying = _Copying(run, comm, hosts) if comm.ranks.local_rank == 0 else None
    told = _wait(comm, copying, stages, state, stop)
    stage = copying.stage if copying else None
    if told is None:
        if copying:
            copying.stop()
        if comm.rank == 0:
            logger.info("staging: stopped by %s before the first step", stop.reason)
            state.update(stop_reason=stop.reason, staging={"text": f"stopped by {stop.reason}"})
        return StagedData(run.read_index().root, stage, is_stopped=True)
    outcomes = {
        host: Outcome(**page["outcome"])
        for host, page in zip(hosts, told, strict=True)
        if "outcome" in page
    }
    if comm.rank == 0:
        _say(outcomes, run.read_index().root, state)
    staged, root = outcomes[hosts[comm.rank]].root, run.read_index().root
    if staged:
        run.places.copied(Path(staged), root)
    return StagedData(Path(staged) if staged else root, stage)


class _Copying:
    """Fills the stage of this node in a thread."""

    def __init__(self, run: Run, comm: Communicator, hosts: Sequence[str]) -> None:
        index = run.read_index()
        folder = run.job.data.stage_dir or os.environ.get("HPCTRAIN_SCRATCH", "")
        self.stage = Stage(folder, comm.ranks.host, index.root, index.digest, run.path)
        ranks = [rank for rank, host in enumerate(hosts) if host == hosts[comm.rank]]
        self._copied = list(_sources(_read_here(run.job, index, ranks, comm.world_size)))
        self._all = list(_sources(index.split("train")))
        self.total_bytes = sum(source.size for source in self._copied)
        self._outcome: Outcome | None = None
        self._error: BaseException | None = None
        self._beat: tuple[int, ...] = ()
        self._moved = time.monotonic()
        self._thread = threading.Thread(target=self._fill, name="staging", daemon=True)
        self._thread.start()

    def told(self) -> dict[str, Any]:
        """What the other ranks are to know."""
        progress, now = self.stage.progress, time.monotonic()
        if progress.beat() != self._beat:
            self._beat, self._moved = progress.beat(), now
        error = self._error
        if error is None and self._outcome is None and now - self._moved > _STILL_S:
            error = TrainError(
                f"copying data to this node has stood still for {_STILL_S:.0f} s; look at the file "
                "systems of the data and of the node, or set data.stage: none"
            )
        return {
            "done": progress.num_bytes + progress.reused_bytes,
            "of": self.total_bytes,
            "error": str(error) if error else "",
            "is_data": isinstance(error, DataError),
            "outcome": asdict(self._outcome) if self._outcome else None,
        }

    def stop(self) -> None:
        """End it; what was copied stays for now."""
        self.stage.stop()
        self._thread.join(_STOP_S)

    def _fill(self) -> None:
        try:
            self._outcome = self.stage.fill(self._copied, self._all)
        except HpctrainError as e:
            self._error = e
        except BaseException as e:  # noqa: BLE001 - whatever it is, the loop must not wait for it
            self._error = TrainError(f"copying data to this node failed: {type(e).__name__}: {e}")


def _wait(
    comm: Communicator,
    copying: _Copying | None,
    stages: Stages,
    state: RunState,
    stop: StopRequest,
) -> list[dict[str, Any]] | None:
    """Exchange how far the nodes are, until all are done; returns the last words of each rank.

    None on all ranks: one of them was asked to stop.
    """
    pause_s, next_told = _FIRST_PAUSE_S, time.monotonic() + _TOLD_EVERY_S
    while True:
        stages.enter("staging")
        own = {"stop": stop.look(), **(copying.told() if copying else {})}
        told = comm.allgather_object(own)
        pages = [page for page in told if "outcome" in page]
        for rank, page in enumerate(told):
            if page.get("error"):
                kind = DataError if page["is_data"] else TrainError
                raise kind(f"rank {rank}: {page['error']}")
        if all(page["outcome"] for page in pages):
            stages.enter("start")
            return told
        reasons = [page["stop"] for page in told if page["stop"]]
        if reasons:
            stop.reason = reasons[0]
            return None
        if comm.rank == 0 and time.monotonic() >= next_told:
            next_told = time.monotonic() + _TOLD_EVERY_S
            done, total = (size_text(sum(p[key] for p in pages)) for key in ("done", "of"))
            text = f"{done} of {total} on {len(pages)} nodes"
            logger.info("staging: %s", text)
            state.update(staging={"text": text})
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _say(outcomes: dict[str, Outcome], root: Path, state: RunState) -> None:
    staged = [outcome for outcome in outcomes.values() if outcome.root]
    copied, reused = (
        sum(getattr(outcome, key) for outcome in staged) for key in ("num_bytes", "reused_bytes")
    )
    seconds = max((outcome.seconds for outcome in staged), default=0.0)
    rate = copied / seconds if seconds else 0.0
    text = (
        f"{size_text(copied + reused)} on {len(staged)} of {len(outcomes)} nodes: "
        f"{size_text(copied)} copied in {seconds:.1f} s ({size_text(rate)}/s), "
        f"{size_text(reused)} were there"
    )
    if staged:
        logger.info("staging: %s; %s is read from %s", text, root, staged[0].root)
    reasons: dict[str, list[str]] = defaultdict(list)
    for host, outcome in outcomes.items():
        if not outcome.root:
            reasons[outcome.reason].append(host)
    for reason, hosts in reasons.items():
        logger.warning("staging: %s: data are read in place: %s", _names(hosts), reason)
    state.update(
        staging={
            "text": text if staged else f"data are read in place: {next(iter(reasons))}",
            "nodes": len(outcomes),
            "staged_nodes": len(staged),
            "copied_bytes": copied,
            "reused_bytes": reused,
            "seconds": round(seconds, 3),
            "bytes_per_s": round(rate),
            "reasons": {_names(hosts): reason for reason, hosts in reasons.items()},
        }
    )


def _names(hosts: Sequence[str]) -> str:
    return ", ".join(hosts[:4]) + (f" and {len(hosts) - 4} more" if len(hosts) > 4 else "")


def _read_here(job: Job, index: Index, ranks: Sequence[int], world_size: int) -> list[Row]:
    """Rows that these ranks read: with parts that stay theirs only those, and all to validate on.

    A short last batch may hold a few samples of a neighbour's part; those are read in place.
    """
    train, order = index.split("train"), job.data.order
    if order.kind == "divided" and order.deal == "fixed" and order.parts:
        num, parts = len(train), order.parts
        wanted: set[int] = set()
        for rank in ranks:
            first, last = rank * parts // world_size, -(-(rank + 1) * parts // world_size)
            wanted.update(range(first * num // parts, -(-last * num // parts)))
        train = tuple(row for i, row in enumerate(train) if i in wanted)
    return [*train, *index.split("validation")]


def _sources(rows: Sequence[Row]) -> Iterator[Source]:
    """Every file once."""
    files = {file.name: file for row in rows for file in row.files()}
    return (Source(*file) for file in files.values())
