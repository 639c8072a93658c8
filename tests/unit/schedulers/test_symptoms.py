"""Lines of logs as people meet them."""

import pytest

from hpctrain.schedulers.symptoms import explain_exit, find_symptom, last_exception

LINES = [
    ("slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch.", "no memory left"),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "a GPU had no memory"),
    ("RuntimeError: DataLoader worker (pid 7) is killed by signal: Bus error.", "/dev/shm"),
    ("OSError: [Errno 28] No space left on device", "a disk is full"),
    ("python3: error while loading shared libraries: libmpi.so.40: cannot open shared object file: "
     "No such file or directory", "libmpi.so.40 is Open MPI"),
    ("error while loading shared libraries: libcudnn.so.9: cannot open", "library is missing"),
    ("The application appears to have been direct launched using \"srun\",", "same PMI"),
    ("[vm:03898] PMIX ERROR: OUT-OF-RESOURCE in file pmix3x/pmix/src/mca/"
     "common/dstore/dstore_segment.c at line 207", "MPI keeps its own files, TMPDIR"),
    ("[vm:03891] PMIX ERROR: PMIX_ERR_FILE_WRITE_FAILURE in file src/mca/ptl/base/ptl_base_listener"
     ".c at line 258", "is full"),
    ("[vm:02838] PMIX ERROR: PMIX_ERR_FILE_OPEN_FAILURE in file src/mca/gds/shmem2/gds_shmem2.c at "
     "line 1056", "MPI cannot use TMPDIR"),
    ("[vm:03116] PMIX ERROR: ERROR in file src/mca/gds/ds12/gds_ds12_lock_pthread.c at line 169",
     "MPI cannot use TMPDIR"),
    ("opal_shmem_base_select failed", "MPI cannot use TMPDIR"),
    ("A call to mkdir was unable to create the desired directory:", "MPI cannot use TMPDIR"),
    ("[1763830000.1] [vm:77:0]        mm_posix.c:234  UCX  ERROR open(file_name=/proc/76/fd/27 "
     "flags=0x0) failed: Permission denied", "UCX, by which the image's MPICH talks"),
    ("[1763830000.2] [vm:77:0]          mm_ep.c:172  UCX  ERROR mm ep failed to connect to remote "
     "FIFO id 0xc000: Shared memory error", "UCX, by which the image's MPICH talks"),
    ("[vm:06888] PMIX ERROR: PMIX_ERR_UNPACK_READ_PAST_END_OF_BUFFER in file bfrop_pmix41.c at "
     "line 625", "same PMI"),
    ("[unset]: launcher not compatible with PMI1 client", "same PMI"),
    ("MPIDI_CMA_copy(224): process_vm_readv failed (errno 1)", "user namespace of its own"),
    ("Timeout (0:10:15)!", "ranks that did not come"),
    ("[vm:20851] PRTE ERROR: File open failure in file /openmpi-5.0.11/3rd-party/prrte/src/mca/ras/"
     "pbs/ras_pbs_module.c at line 174", "which nodes the PBS job has"),
    ("Host key verification failed.", "daemons"),
    ("There are not enough slots available in the system to satisfy the 8", "more ranks"),
    ("torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1", "each other"),
    ("RuntimeError: No CUDA GPUs are available", "no GPU"),
    ("FATAL:   could not open image /x.sif: no such file", "container"),
    ("ModuleNotFoundError: No module named 'torch'", "lacks a package"),
    ("slurmstepd-n1: error: *** JOB 5 ON n1 CANCELLED AT 2026-11-21T11:27:07 DUE TO TIME LIMIT ***",
     "walltime"),
    ("=>> PBS: job killed: walltime 77 exceeded limit 60", "walltime"),
    ("slurmstepd-n1: error: *** JOB 5 ON n1 CANCELLED AT 2026-11-21T11:27:07 ***", "cancelled"),
    ("run.slurm: line 30: module: command not found", "a program is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "cause"), LINES)
def test_find_symptom(line, cause):
    found, advice = find_symptom(["fine", line, "also fine"])
    assert found == line
    assert cause in advice.cause
    assert advice.fix


def test_find_symptom__the_cause_before_its_consequence():
    lines = ["slurmstepd: error: Detected 1 oom_kill event", "*** JOB 5 ON n1 CANCELLED AT x ***"]
    assert "memory" in find_symptom(lines)[1].cause


def test_find_symptom__a_folder_of_mpi_is_the_nodes_before_it_is_an_images():
    _, advice = find_symptom(["  orte_session_dir failed"])
    assert advice.cause.startswith("MPI cannot use TMPDIR (or else /tmp) of the node; in an image:")
    assert advice.fix.index("TMPDIR") < advice.fix.index("in an image: leave out --contain")


def test_find_symptom__ucx_before_the_permission_it_lacks():
    lines = ["x UCX  ERROR open(file_name=/proc/76/fd/27 flags=0x0) failed: Permission denied"]
    assert "one_namespace: true" in find_symptom([*lines, "bash: ./x: Permission denied"])[1].fix


def test_find_symptom__none():
    assert find_symptom(["epoch 1/3", "all is well"]) is None


def test_last_exception():
    lines = ["Traceback (most recent call last):", '  File "x.py", line 1', "KeyError: 'a'", "bye"]
    assert last_exception(lines) == "KeyError: 'a'"
    ranked = [*lines[:2], "12:00:01 [rank 0/2 vm] x.y.MyError: bad"]
    assert last_exception(ranked) == "x.y.MyError: bad"
    assert last_exception(["KeyError: 'a'"]) is None


@pytest.mark.parametrize("code", [1, 2, 5, 6, 75, 126, 127, 134, 135, 137, 139, 143, 181, -29, -3])
def test_explain_exit(code):
    assert explain_exit(code).cause


def test_explain_exit__unknown():
    assert explain_exit(99) is None


def test_symptom__of_a_launch_names_the_doctor() -> None:
    found = find_symptom(["libmpi.so.12: cannot open shared object file"])
    assert found
    assert "`hpctrain doctor --job RUN`" in found[1].fix
