"""What lines of a log and exit codes tell about a failure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hpctrain.schedulers.reasons import Advice

_MEMORY = (
    "raise resources.memory_gb_per_node, or lower data.workers, data.prefetch_batches or "
    "ranks_per_node"
)
_AGAIN = "hand it in again, it goes on from its newest checkpoint"
DOCTOR = "; inside a job `hpctrain doctor --job RUN` shows what the ranks find"
"""Where to look further; the doctor itself leaves it out."""

# the first row with any line that fits is taken, so the causes stand before their consequences
_LINES = (
    (
        r"(\d+ bytes, \d+|and was there) when the job was rendered|"
        r"content has changed since the job was rendered",
        "a data file was cut short, changed or removed since the job was rendered",
        "restore the file (hpctrain verify RUN --digests names all that differ), then " + _AGAIN,
    ),
    (r"oom[-_]kill|Out of memory: Kill", "a node had no memory left", _MEMORY),
    (
        r"(CUDA|HIP) out of memory|OutOfMemoryError",
        "a GPU had no memory left",
        "lower train.global_batch_size, raise train.accumulate, or use more ranks",
    ),
    (
        r"[Bb]us error|insufficient shared memory|/dev/shm.*No space left",
        "a file that is mapped into memory is not there any more: a data file was cut short, or "
        "/dev/shm of a node is full",
        "compare the data with its index (hpctrain verify RUN --digests); lower data.workers; in a "
        "container mount the host's shared memory: container.binds: [/dev/shm]",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        "a disk is full, or its quota is used up",
        "make room (df -h, or the site's quota command), then " + _AGAIN,
    ),
    (
        r"libmpi\.so\.\d+: cannot open shared object|libmpi\w*\.so.*not found",
        "the program was built for another MPI than the one that is loaded: libmpi.so.40 is Open "
        "MPI, libmpi.so.12 is MPICH",
        "load the module of the MPI it was built with, or build the image for site.container.mpi"
        + DOCTOR,
    ),
    (
        r"error while loading shared libraries|cannot open shared object file",
        "a library is missing on the compute node",
        "load the module that has it: modules: of the site file",
    ),
    (
        r"PMIX ERROR: (PMIX_ERR_)?(OUT-OF-RESOURCE|FILE_WRITE_FAILURE)|"
        r"PMIx server's listener thread failed",
        "the folder in which MPI keeps its own files, TMPDIR or else /tmp of a node, is full",
        "make room there (df -h), or set TMPDIR to a folder of the node's disk that has some",
    ),
    (
        r"PMIX_ERR_FILE_OPEN_FAILURE|gds_ds12_lock_pthread|opal_shmem_base_select failed|"
        r"orte_session_dir failed|help-pmix-pmix3x|"
        r"call to mkdir was unable to create the desired directory",
        "MPI cannot use TMPDIR (or else /tmp) of the node; in an image: it does not find what the "
        "launcher of its node has laid down for it there, or where the image's own parts lie",
        "see that the folder is there on the node, is yours to write and has room, or set TMPDIR "
        "to one that is; in an image: leave out --contain and --no-mount in container.args; with "
        "Charliecloud start with TMPDIR in /tmp; take OPAL_PREFIX and its kind out of "
        "container.env",
    ),
    (
        r"process_vm_readv failed|Read -1, expected \d+, errno = 1\b",
        "ranks of a node cannot read each other's memory: each has a user namespace of its own",
        "set one_namespace: true in the site's container, or in launch.env "
        "MPIR_CVAR_CH4_CMA_ENABLE: '0' (MPICH) or OMPI_MCA_btl_vader_single_copy_mechanism: none "
        "(Open MPI 4)",
    ),
    (
        r"UCX +ERROR.*(/proc/\d+/fd|Shared memory error)",
        "UCX, by which the image's MPICH talks, cannot open what other ranks of the node hold in "
        "/proc: each has a user namespace of its own",
        "set one_namespace: true in the site's container, or start one rank a node",
    ),
    (
        r"not built with SLURM'?s PMI|direct launched using \"srun\"|PMI2?_Init|PMIX ERROR|"
        r"launcher not compatible with PMI|unsupported PMI version|psquash_base_select failed|"
        r"OPAL ERROR: (Unreachable|Not initialized)|PMIx_Init",
        "the launcher and the program's MPI do not speak the same PMI",
        "in the site file choose launcher.kind: openmpi, or a --mpi= in launcher.args that "
        "`srun --mpi=list` shows and the MPI was built with" + DOCTOR,
    ),
    (
        r"^Timeout \(0:10:15\)!",
        "at the start a rank waited ten minutes in MPI for ranks that did not come",
        "look in the log for ranks that said nothing, and whether their nodes are up, then start "
        "the run again",
    ),
    (
        r"ras_(pbs|tm)_module\.c",
        "mpirun cannot read which nodes the PBS job has",
        "start it from the job's own script or shell, where PBS_NODEFILE names a file",
    ),
    (
        r"Host key verification failed|plm:rsh|ssh: |ORTE daemon|PRTE daemon",
        "mpirun could not start its daemons on the other nodes",
        "use an MPI that was built for the scheduler, or the launcher of the site",
    ),
    (
        r"not enough slots available",
        "the launcher was asked for more ranks than the job has slots",
        "compare resources.ranks_per_node with what the job got; render it again",
    ),
    (
        r"NCCL (error|WARN)|nccl(System|Internal|UnhandledCuda|Remote)Error|NCCL_ERROR",
        "the GPUs could not talk to each other",
        "set launch.env: {NCCL_DEBUG: INFO}, and NCCL_SOCKET_IFNAME to the fast network's name"
        + DOCTOR,
    ),
    (
        r"No CUDA GPUs are available|invalid device ordinal|no CUDA-capable device|"
        r"CUDA driver version is insufficient|no kernel image is available",
        "a rank found no GPU that it can use",
        "check gpus_per_rank and directives.gpus of the site; compare nvidia-smi with the CUDA of "
        "torch; in a container look for --nv" + DOCTOR,
    ),
    (
        r"FATAL:.*(image|container)|could not open image|FATAL:.*mount",
        "the container could not be started",
        "build the image (container.def in the run directory), and check container.binds",
    ),
    (
        r"(ModuleNotFoundError|ImportError): ",
        "Python lacks a package on the compute node",
        "check launch.python, or the image; load the module that has it",
    ),
    (
        r"DUE TO TIME LIMIT|walltime \d+ exceeded|maximum execution time exceeded",
        "its walltime was over",
        _AGAIN + "; a chain: block does so by itself",
    ),
    (r"DUE TO PREEMPTION", "it was thrown out for another job", _AGAIN),
    (r"DUE TO NODE FAILURE|NODE_FAIL", "a node failed", _AGAIN),
    (
        r"command not found$|: not found$",
        "a program is missing on the compute node",
        "load the module that has it: modules: of the site file",
    ),
    (r"Permission denied", "a file may not be read, written or started", "mend its permissions"),
    (r"\*\*\* JOB \S+ ON \S+ CANCELLED", "it was cancelled", "if not meant, hand it in again"),
)

_CODES = {
    1: ("the program failed", "read the log: hpctrain logs RUN"),
    2: ("a value of the job is wrong", "mend what the message names, and render it again"),
    3: ("a run directory cannot be written", "mend what the message names"),
    4: ("the scheduler was missing or refused", "mend what the message names"),
    5: (
        "the launcher started something else than the job asked for",
        "mend what the message names; docs: reference/errors" + DOCTOR,
    ),
    6: ("the training itself failed", "mend what the message names, then " + _AGAIN),
    75: ("it saved and left before its end", _AGAIN),
    126: ("a program may not be started", "make it executable, or mend its first line"),
    127: ("a program was not found", "load the module that has it: modules: of the site file"),
    134: ("a program gave up (SIGABRT), most often MPI or CUDA", "read the log: hpctrain logs RUN"),
    135: ("a bus error (SIGBUS), most often a full /dev/shm", "lower data.workers"),
    137: ("it was killed (SIGKILL), most often for want of memory", _MEMORY),
    139: ("a program crashed (SIGSEGV)", "look for a mix of MPI or CUDA versions; " + _AGAIN),
    143: ("it was ended (SIGTERM) by a user, the walltime or for another job", _AGAIN),
    181: (
        "Slurm could not open the log of the job (0:53), and so never began it",
        "make the folder RUN/logs, check that compute nodes see it, and hand the job in again",
    ),
    -1: ("PBS could not start it", "hand it in again; if it fails again, ask the site's support"),
    -2: ("PBS could not start it", "hand it in again; if it fails again, ask the site's support"),
    -3: ("PBS tried to start it too often", "make RUN/logs if it is gone, and hand it in again"),
    -29: ("its walltime was over", _AGAIN + "; a chain: block does so by itself"),
}

_EXCEPTION = re.compile(r"^(?:\S+ )*?((?:\w+\.)*\w*(?:Error|Exception|Interrupt)(?:: .*)?)$")


def find_symptom(lines: Sequence[str]) -> tuple[str, Advice] | None:
    """The most telling line of a log, and what it means; None: no line is known."""
    for pattern, cause, fix in _LINES:
        for line in reversed(lines):
            if re.search(pattern, line):
                return line.strip(), Advice(cause, fix)
    return None


def last_exception(lines: Sequence[str]) -> str | None:
    """The last line of the last traceback, which names the exception."""
    if not any(line.startswith("Traceback (most recent call last)") for line in lines):
        return None
    found = (_EXCEPTION.match(line) for line in reversed(lines))
    return next((match[1] for match in found if match), None)


def explain_exit(code: int) -> Advice | None:
    """What an exit code means, 128 + signal included; None: nothing is known of it."""
    row = _CODES.get(code)
    return Advice(*row) if row else None
