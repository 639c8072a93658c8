"""`python -m hpctrain.staging FOLDER RUN_DIR`: take away what a job left on its nodes.

The run script starts it as it started the ranks, once no further job of the run will come; one
process of each node works. It needs neither the run's configuration nor MPI.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from hpctrain.errors import StagingError
from hpctrain.staging.folder import expand, release


def main(arguments: list[str]) -> int:
    """Returns the exit code; what cannot be taken away is said, and is no failure of the job."""
    if len(arguments) != 2:
        print("usage: python -m hpctrain.staging FOLDER RUN_DIR", file=sys.stderr)
        return 2
    if os.environ.get("HPCTRAIN_LOCAL_RANK", "0") != "0":
        return 0
    folder, run_dir = arguments
    host = socket.gethostname().split(".")[0]
    try:
        gone = release(expand(folder), host, Path(run_dir).resolve())
    except (StagingError, OSError) as e:
        print(f"staging on {host}: {e}; nothing was taken away", file=sys.stderr)
        return 0
    if gone:
        print(f"staging on {host}: {len(gone)} left over in {folder} taken away")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
