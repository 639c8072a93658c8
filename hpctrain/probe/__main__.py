"""`python -m hpctrain.probe FOLDER`: one rank of `hpctrain doctor`.

FOLDER/probe.json says what is wanted. What this rank finds is in FOLDER/ranks, written anew at each
stage: a rank that hangs or dies has said how far it came.
"""

from __future__ import annotations

import faulthandler
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpctrain import log
from hpctrain.errors import HpctrainError, LaunchError
from hpctrain.probe.notes import Notes

if TYPE_CHECKING:
    from hpctrain.comm import Communicator, Ranks


def main(argv: list[str] | None = None) -> int:
    """Say what this rank finds; 0, or the exit code of the error."""
    folder = Path((sys.argv[1:] if argv is None else argv)[0])
    asked = json.loads((folder / "probe.json").read_text())
    # a rank in MPI holds Python's lock: only this watchdog, a thread of its own, can end it
    faulthandler.dump_traceback_later(asked["limit_s"], exit=True)
    notes = Notes(folder / "ranks")
    try:
        _probe(folder, asked, notes)
    except HpctrainError as e:
        notes.failed(str(e))
        return e.exit_code
    except Exception as e:  # noqa: BLE001 - said by the doctor, with the stage
        notes.failed(f"{type(e).__name__}: {e}")
        return LaunchError.exit_code
    notes.at("done")
    return 0


def _probe(folder: Path, asked: dict[str, Any], notes: Notes) -> None:
    notes.at("importing torch")  # minutes, where thousands read it from one file system
    from hpctrain.comm import Ranks
    from hpctrain.probe.devices import devices

    ranks = Ranks.from_environment()
    log.setup(str(ranks))
    notes.at("looking at the devices", ranks=vars(ranks))
    notes.at(f"opening launch.comm: {asked['comm']}", devices=devices())
    comm = _open(asked["comm"], ranks, folder)
    notes.at("meeting the other ranks", comm=comm.kind, mpi=_mpi(comm))
    _measure(comm, asked, notes)
    notes.at("leaving")
    comm.close()


def _open(kind: str, ranks: Ranks, folder: Path) -> Communicator:
    from hpctrain.comm import start

    return start(kind, ranks, folder)


def _measure(comm: Communicator, asked: dict[str, Any], notes: Notes) -> None:
    from hpctrain.probe.bandwidth import bandwidth
    from hpctrain.probe.clock import clock_offsets

    comm.barrier()
    if comm.world_size == 1:
        return
    notes.at("comparing clocks")
    notes.at("measuring allreduce", clocks=clock_offsets(comm))
    notes.at("measured", allreduce=bandwidth(comm, asked["sizes"], asked["budget_s"]))


def _mpi(comm: Communicator) -> dict[str, Any]:
    """The MPI that is in this process, as it says itself."""
    from hpctrain.comm.mpi_library import loaded_libraries

    found: dict[str, Any] = {"libraries": [str(path) for path in loaded_libraries()]}
    module = sys.modules.get("mpi4py.MPI")
    if module is not None:
        found["version"] = module.Get_library_version().splitlines()[0].strip("\0 ")
    if comm.control is not None:
        found["size"] = comm.control.mpi.COMM_WORLD.size
    return found


if __name__ == "__main__":
    sys.exit(main())
