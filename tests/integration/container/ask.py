"""Run by a rank inside an image: which MPI it got, and whether two ranks can add.

The image's own Python runs it, and that has the standard library alone. What is asked for by name
is what a compiled program asks for. Handles are those of MPICH's ABI (mpi.h).
"""

from __future__ import annotations

import ctypes
import json
import os
from pathlib import Path

WORLD, INT, SUM = ctypes.c_int(0x44000000), ctypes.c_int(0x4C000405), ctypes.c_int(0x58000003)
COUNT = 1 << 20
"""Numbers in one message: some go by another way than a single one does."""


def main() -> None:
    """Write asked-RANK beside this file; RANK is the launcher's, whatever MPI says."""
    mpi = ctypes.CDLL("libmpi.so.12", mode=ctypes.RTLD_GLOBAL)
    text, length = ctypes.create_string_buffer(8192), ctypes.c_int()
    mpi.MPI_Get_library_version(text, ctypes.byref(length))
    mpi.MPI_Init(None, None)
    rank, size = ctypes.c_int(), ctypes.c_int()
    mpi.MPI_Comm_rank(WORLD, ctypes.byref(rank))
    mpi.MPI_Comm_size(WORLD, ctypes.byref(size))
    own, total = (ctypes.c_int * COUNT)(*[rank.value + 1] * COUNT), (ctypes.c_int * COUNT)()
    mpi.MPI_Allreduce(own, total, COUNT, INT, SUM, WORLD)
    maps = Path("/proc/self/maps").read_text().splitlines()
    page = {
        "rank": rank.value,
        "size": size.value,
        "sums": sorted(set(total)),
        "version": text.value.decode().split()[2],
        "libraries": sorted({line.split()[-1] for line in maps if "libmpi.so" in line}),
        "image": os.environ.get("APPTAINER_CONTAINER", ""),
    }
    place = Path(__file__).with_name(f"asked-{os.environ['HPCTRAIN_RANK']}")
    place.write_text(json.dumps(page))
    mpi.MPI_Finalize()


main()
