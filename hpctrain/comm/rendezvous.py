"""Where the ranks of torch.distributed meet: an address that only the running job knows."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from torch._C._distributed_c10d import TCPStore
from torch.distributed import DistStoreError

from hpctrain.comm.control import Control
from hpctrain.comm.ranks import Ranks
from hpctrain.errors import LaunchError, unwritable

_TIMEOUT_S = 120.0
_NAMED = 8


def meet(
    ranks: Ranks, run_dir: Path, host: str, control: Control | None, meeting: str = ""
) -> TCPStore:
    """A store on a port that rank 0 is given by its kernel.

    Rank 0 tells the others over MPI where there is one, else by a file in the run directory, which
    is named for the start of the run, or for `meeting`.

    Raises:
        LaunchError: rank 0 cannot be found, a rank was started twice, or some did not come.
        TrainError: rank 0 cannot write the file.
    """
    timeout, path = timedelta(seconds=_TIMEOUT_S), _file(run_dir, meeting)
    if ranks.rank == 0:
        store = TCPStore(host, 0, ranks.world_size, True, timeout, wait_for_workers=False)
        address = f"{host} {store.port}"
        if control is None:
            _publish(address, path)
        else:
            control.broadcast(address)
    else:
        address = control.broadcast(None) if control else _wait_for(path, ranks)
        name, port = address.split()
        store = TCPStore(name, int(port), ranks.world_size, False, timeout)
    _roll_call(store, ranks, timeout)
    if ranks.rank == 0 and control is None:
        path.unlink()
    return store


def _file(run_dir: Path, meeting: str) -> Path:
    name = meeting or os.environ.get("HPCTRAIN_LAUNCH_ID", "0")
    return run_dir / "logs" / f".rendezvous-{name}"


def _publish(address: str, path: Path) -> None:
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(address)
        temporary.replace(path)
    except OSError as e:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise unwritable(path, e) from e


def _roll_call(store: TCPStore, ranks: Ranks, timeout: timedelta) -> None:
    """Wait until every rank is here, once."""
    here = f"{ranks.host}, process {os.getpid()}"
    if store.add(f"count/{ranks.rank}", 1) > 1:
        store.wait([f"here/{ranks.rank}"], timeout)
        other = store.get(f"here/{ranks.rank}").decode()
        raise LaunchError(
            f"rank {ranks.rank} was started twice, on {other} and on {here}; "
            "HPCTRAIN_RANK must come from rank.sh under one launcher: check the run script"
        )
    store.set(f"here/{ranks.rank}", here)
    try:
        store.wait([f"here/{r}" for r in range(ranks.world_size)], timeout)
    except DistStoreError as e:
        raise LaunchError(
            f"{ranks} {_missing(store, ranks)} did not come within {_TIMEOUT_S:.0f} s of rank 0's "
            "start; look in the log for their last words, and whether their nodes are up"
        ) from e


def _missing(store: TCPStore, ranks: Ranks) -> str:
    if ranks.rank:
        return "other ranks"  # rank 0 has the store and tells which; all asking would swamp it
    missing = [str(r) for r in range(ranks.world_size) if not store.check([f"here/{r}"])]
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    return f"rank{'s' if len(missing) > 1 else ''} {', '.join(missing[:_NAMED])}{more}"


def _wait_for(path: Path, ranks: Ranks) -> str:
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        # listing the folder makes network file systems look again
        if path.name in os.listdir(path.parent):
            return path.read_text()
        time.sleep(0.05)
    raise LaunchError(
        f"{ranks} rank 0 left no address in {path} within {_TIMEOUT_S:.0f} s; "
        "check that all ranks see the same run directory and that rank 0 started "
        f"(this rank runs on {socket.gethostname()})"
    )
