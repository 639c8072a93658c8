"""What launchers leave in the environment of a rank, and what rank.sh must make of it.

Open MPI 4.1 and 5.0 and Slurm 22.05 were recorded on running systems, the others are put together
from the manuals named in the tests' source (schedulers' documentation).
"""

from __future__ import annotations

SBATCH = {
    "SLURM_JOB_ID": "7",
    "SLURM_NTASKS": "8",
    "SLURM_NPROCS": "8",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_TASKS_PER_NODE": "4(x2)",
}
"""The batch shell of a Slurm job: looks like rank 0 and is none."""

ASKED = {"HPCTRAIN_NODES": "2", "HPCTRAIN_RANKS_PER_NODE": "4"}
"""What every run script sets."""


def slurm_step(procid: int, localid: int, nodeid: int, ntasks: int, layout: str) -> dict[str, str]:
    """A task started by srun."""
    return {
        **SBATCH,
        "SLURM_STEP_ID": "0",
        "SLURM_STEP_NUM_TASKS": str(ntasks),
        "SLURM_STEP_TASKS_PER_NODE": layout,
        "SLURM_PROCID": str(procid),
        "SLURM_LOCALID": str(localid),
        "SLURM_NODEID": str(nodeid),
    }


OPEN_MPI = {
    "OMPI_COMM_WORLD_RANK": "5",
    "OMPI_COMM_WORLD_SIZE": "8",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "4",
    "OMPI_COMM_WORLD_NODE_RANK": "1",
    "PMIX_RANK": "5",
}

HYDRA = {"PMI_RANK": "6", "PMI_SIZE": "8", "MPI_LOCALRANKID": "2", "MPI_LOCALNRANKS": "4"}

PALS = {
    "PALS_RANKID": "7",
    "PALS_NODEID": "1",
    "PALS_LOCAL_RANKID": "3",
    "PALS_LOCAL_SIZE": "4",
    "PMI_RANK": "7",
    "PMI_SIZE": "8",
    "PMI_LOCAL_RANK": "3",
    "PMI_LOCAL_SIZE": "4",
}

PALS_PMIX = {"PALS_RANKID": "7", "PALS_LOCAL_RANKID": "3", "PALS_LOCAL_SIZE": "4", "PMIX_RANK": "7"}

MVAPICH2 = {
    "MV2_COMM_WORLD_RANK": "5",
    "MV2_COMM_WORLD_SIZE": "8",
    "MV2_COMM_WORLD_LOCAL_RANK": "1",
    "MV2_COMM_WORLD_LOCAL_SIZE": "4",
}

JSRUN = {
    "JSM_NAMESPACE_RANK": "5",
    "JSM_NAMESPACE_SIZE": "8",
    "JSM_NAMESPACE_LOCAL_RANK": "1",
}

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "GROUP_RANK": "1",
    "MASTER_ADDR": "nid01",
    "MASTER_PORT": "29500",
}

LEFT_OVER = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
"""Plain variables that modules and login profiles are known to set."""

FOUND: dict[str, tuple[dict[str, str], tuple[int, int, int, int]]] = {
    "openmpi": (OPEN_MPI, (5, 8, 1, 4)),
    "openmpi under sbatch": ({**SBATCH, **OPEN_MPI}, (5, 8, 1, 4)),
    "openmpi daemons started by srun": (
        {**slurm_step(1, 0, 1, 2, "1(x2)"), **OPEN_MPI},
        (5, 8, 1, 4),
    ),
    "openmpi with left-overs": ({**LEFT_OVER, **OPEN_MPI}, (5, 8, 1, 4)),
    "hydra": (HYDRA, (6, 8, 2, 4)),
    "hydra with PMI_PORT": (
        {"PMI_ID": "6", "PMI_SIZE": "8", "MPI_LOCALRANKID": "2", "MPI_LOCALNRANKS": "4"},
        (6, 8, 2, 4),
    ),
    "hydra under sbatch": ({**slurm_step(1, 0, 1, 2, "1(x2)"), **HYDRA}, (6, 8, 2, 4)),
    "pals": (PALS, (7, 8, 3, 4)),
    "pals with pmix, size as asked": ({**ASKED, **PALS_PMIX}, (7, 8, 3, 4)),
    "mvapich2": (MVAPICH2, (5, 8, 1, 4)),
    "jsrun, local size as asked": ({**ASKED, **JSRUN}, (5, 8, 1, 4)),
    "srun even": (slurm_step(5, 1, 1, 8, "4(x2)"), (5, 8, 1, 4)),
    "srun uneven, last node": (slurm_step(8, 0, 2, 9, "4(x2),1"), (8, 9, 0, 1)),
    "srun one node": (slurm_step(1, 1, 0, 2, "2"), (1, 2, 1, 2)),
    "srun mixed list": (slurm_step(6, 1, 3, 8, "2,1(x2),4"), (6, 8, 1, 4)),
    "srun with left-overs": ({**LEFT_OVER, **slurm_step(5, 1, 1, 8, "4(x2)")}, (5, 8, 1, 4)),
    "srun with PMI-2": ({**slurm_step(5, 1, 1, 8, "4(x2)"), "PMI_RANK": "5"}, (5, 8, 1, 4)),
    "torchrun": (TORCHRUN, (5, 8, 1, 4)),
    "torchrun, agents started by mpirun": (
        {
            **{**OPEN_MPI, "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"},
            **TORCHRUN,
        },
        (5, 8, 1, 4),
    ),
    "torchrun, agents started by PALS": ({**PALS, **TORCHRUN}, (5, 8, 1, 4)),
    "ibrun with Intel MPI": ({**SBATCH, **HYDRA}, (6, 8, 2, 4)),
    "ibrun with MVAPICH2": ({**SBATCH, **MVAPICH2}, (5, 8, 1, 4)),
    "torchrun in a Slurm step": ({**slurm_step(1, 0, 1, 2, "1(x2)"), **TORCHRUN}, (5, 8, 1, 4)),
    "torchrun without its run id": (
        {k: v for k, v in TORCHRUN.items() if k != "TORCHELASTIC_RUN_ID"},
        (5, 8, 1, 4),
    ),
    "aprun": ({**ASKED, "ALPS_APP_PE": "6"}, (6, 8, 2, 4)),
    "no launcher": ({**ASKED, "HPCTRAIN_LAUNCHER": "none"}, (0, 1, 0, 1)),
    "no launcher in a batch shell": ({**SBATCH, "HPCTRAIN_LAUNCHER": "none"}, (0, 1, 0, 1)),
}

REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "nothing at all": ({}, "no launcher known by its variables"),
    "batch shell of Slurm": (SBATCH, "no launcher known by its variables"),
    "only plain variables": (LEFT_OVER, "no launcher known by its variables"),
    "PMI rank without local rank": (
        {"PMI_RANK": "1", "PMI_SIZE": "2"},
        "no launcher known by its variables",
    ),
    "open mpi without local rank": (
        {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"},
        "Open MPI tells no local rank",
    ),
    "srun without local rank": (
        {k: v for k, v in slurm_step(1, 1, 0, 2, "2").items() if k != "SLURM_LOCALID"},
        "srun tells no local rank",
    ),
    "srun with a wrong layout": (
        slurm_step(5, 1, 3, 8, "4(x2)"),
        "srun tells no number of local ranks",
    ),
    "rank beyond the size": (
        {**OPEN_MPI, "OMPI_COMM_WORLD_SIZE": "4"},
        "Open MPI tells rank 5 of 4",
    ),
    "local rank beyond the local size": (
        {**OPEN_MPI, "OMPI_COMM_WORLD_LOCAL_SIZE": "1"},
        "Open MPI tells local rank 1 of 1",
    ),
    "no number": (
        {**OPEN_MPI, "OMPI_COMM_WORLD_RANK": "x1"},
        "tells 'x1' as rank, which is no number",
    ),
    "pals with pmix by hand": (PALS_PMIX, "PALS tells no number of ranks"),
    "aprun in another order": (
        {**ASKED, "ALPS_APP_PE": "6", "MPICH_RANK_REORDER_METHOD": "0"},
        "hides the local rank",
    ),
    "aprun by hand": ({"ALPS_APP_PE": "6"}, "aprun tells no local rank"),
}
