"""`python -m hpctrain.train RUN_DIR`: what every rank of a job runs."""

from __future__ import annotations

import argparse
import faulthandler
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import torch

from hpctrain import log
from hpctrain.comm import Communicator, Ranks, start
from hpctrain.comm.control import let_all_connect
from hpctrain.errors import EXIT_STOPPED, BusyError, HpctrainError
from hpctrain.index import verify_index
from hpctrain.index.beside import BEGINNINGS, verify_beside
from hpctrain.provenance.run import read_manifest
from hpctrain.registry import resolve, tasks
from hpctrain.train import proof
from hpctrain.train.faults import failure
from hpctrain.train.faults.leaving import StartLimit, close_and_leave, leave_at_once
from hpctrain.train.faults.lock import RunLock
from hpctrain.train.faults.stages import Stages
from hpctrain.train.faults.watchdog import Watchdog
from hpctrain.train.run import Run, RunState
from hpctrain.train.setup import set_determinism
from hpctrain.train.staging import StagedData, stage_data
from hpctrain.train.stop import StopRequest, forget_old
from hpctrain.train.task import Place
from hpctrain.train.trainer import Trainer


def main(argv: list[str] | None = None) -> NoReturn:
    """Train the run and leave: exit code 0 finished, 75 stopped, else see hpctrain.errors."""
    arguments = _parse(argv)
    # torch's first optimizer imports its compiler, which takes a second: do it beside the start-up
    threading.Thread(target=import_module, args=("torch._dynamo",), daemon=True).start()
    try:
        ranks = Ranks.from_environment()
    except HpctrainError as e:
        print(f"hpctrain.train: {e}", file=sys.stderr)
        leave_at_once(e.exit_code)
    log.setup(str(ranks) if ranks.world_size > 1 else "")
    limit = StartLimit(ranks, arguments.run_dir)
    explained: Callable[[str], str] = str
    try:
        run = Run(arguments.run_dir)
        explained = run.places.explained
        torch.set_num_threads(run.job.resources.cpus_per_rank)
        set_determinism(run.job.train)
        proof.check_size(ranks.world_size, run.job.total_ranks, str(ranks))
        # before the ranks meet, as of two that are both rank 0 one would wait in vain
        lock = _take_lock(run, ranks) if ranks.rank == 0 else None
        limit.phase = f"to open launch.comm: {run.job.launch.comm}"
        comm = start(run.job.launch.comm, ranks, run.path, run.job.train.reduction)
        faulthandler.enable()  # a crash in a library shows its stack, too; MPI sets handlers above
        code = _train(
            run, comm, lock, limit, is_schedule_change_allowed=arguments.allow_schedule_change
        )
    except BaseException as e:  # noqa: BLE001 - whatever it is, the other ranks must not wait for us
        leave_at_once(failure.report(e, ranks, arguments.run_dir, explained))
    close_and_leave(comm, code)


def _take_lock(run: Run, ranks: Ranks) -> RunLock:
    try:
        return RunLock(run.path)
    except BusyError:
        let_all_connect(ranks)
        raise


def _train(
    run: Run,
    comm: Communicator,
    lock: RunLock | None,
    limit: StartLimit,
    *,
    is_schedule_change_allowed: bool,
) -> int:
    # what ranks find wrong in the data or the checkpoint is found by all of them alike
    if lock:
        forget_old(run.path)
    limit.phase = "to compare the ranks"
    claims = proof.exchange(comm, run.job, run.digests())
    limit.cancel()
    stages, hosts = Stages(), [claim.host for claim in claims]
    on_tick = lock.beat if lock else None
    with Watchdog(run, comm.ranks, hosts, stages, on_tick):
        is_finished, staged = _fit(run, comm, claims, stages, is_schedule_change_allowed)
        comm.barrier()
    staged.close(is_kept=not is_finished and run.job.chain is not None)
    if lock:
        lock.release()
    return 0 if is_finished else EXIT_STOPPED


def _fit(
    run: Run,
    comm: Communicator,
    claims: Sequence[proof.Claim],
    stages: Stages,
    is_schedule_change_allowed: bool,
) -> tuple[bool, StagedData]:
    state = RunState(run.path)
    facts = proof.facts(comm, claims)
    if comm.rank == 0:
        _begin(run, state, facts)
        _verify_data(run)
    with closing(StopRequest(comm, run.path)) as stop:
        stages.is_leaving = lambda: bool(stop.reason)
        staged = stage_data(run, comm, [claim.host for claim in claims], stages, state, stop)
        is_finished = False
        if not staged.is_stopped:
            place = Place(run.path, comm.rank, comm.device, staged.root, run.read_index().root)
            trainer = Trainer(
                run,
                resolve(tasks()[run.job.train.task])(run.job, place),
                comm,
                state,
                is_schedule_change_allowed=is_schedule_change_allowed,
                stages=stages,
            )
            if comm.rank == 0:
                state.update(precision=trainer.precision.name, **trainer.course.facts())
            is_finished = trainer.fit(stop)
    if comm.rank == 0:
        state.update(status="finished" if is_finished else "stopped", eta_s=0.0)
        run.launches.end(0 if is_finished else EXIT_STOPPED)
    return is_finished, staged


def _begin(run: Run, state: RunState, facts: dict[str, Any]) -> None:
    """Write down what runs where, and say so."""
    run.launches.begin(facts)
    state.begin(
        epochs=run.job.train.epochs,
        **{key: facts[key] for key in ("world_size", "comm", "device")},
    )
    log.logger.info(
        "%s on %s, %s, %s",
        _count(facts["world_size"], "rank"),
        _count(len(facts["hosts"]), "node"),
        facts["comm"],
        facts["device"],
    )


def _verify_data(run: Run) -> None:
    """Refuse files that are not those of which the run has the digests."""
    index, has_content = run.read_index(), run.job.data.verify == "digests"
    verify_index(index, content=has_content)
    # of a run that goes on, nobody reads the weights that it began with
    is_resumed = next((run.path / "checkpoints").glob("state_*.pt"), None) is not None
    not_needed = BEGINNINGS if is_resumed else ()
    verify_beside(run.job, read_manifest(run.path), index.home, content=has_content, but=not_needed)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hpctrain.train", description=__doc__)
    parser.add_argument("run_dir", type=Path, help="run directory that `hpctrain render` wrote")
    parser.add_argument(
        "--allow-schedule-change",
        action="store_true",
        help="resume although epochs, batch size, schedule or optimizer were changed",
    )
    return parser.parse_args(argv)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"


if __name__ == "__main__":
    main()
