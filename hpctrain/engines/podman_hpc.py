"""podman-hpc: NERSC's podman for many users and nodes."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from hpctrain.engines.base import LIBRARY_PATH, Box, Engine
from hpctrain.shell_words import ShellText, ShellVariable

_LAUNCHERS = ("OMPI_*", "PMIX_*", "PMI_*", "PALS_*", "MPI_LOCAL*", "SLURM_*", "SLURMD_*")
_OURS = ("HPCTRAIN_*", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
_SKIPPED = ("PATH", "LD_LIBRARY_PATH")
_PLACES = ("LOCALID_VAR=HPCTRAIN_LOCAL_RANK", "TASKS_PER_NODE_VAR=HPCTRAIN_LOCAL_SIZE")
"""Where `shared-run` finds who is first on a node and how many there are: by default Slurm's
variables, which under mpirun make each rank the first, and wait for the others for ever."""
_USERS = ("--userns", "--mpi", "--cuda-mpi", "--openmpi-pmi2", "--openmpi-pmix")
"""Words that say who the user is inside: podman's own, and NERSC's modules for MPI."""
_KEPT = "--userns=keep-id"
_MESSAGES = "PMIX_MCA_gds"
"""How PMIx hands data over: by files of the launcher, which the image may not show, unless told
otherwise; ranks of Open MPI 5 then fail in MPI_Init."""
_FILES = "/tmp"  # noqa: S108
"""Where mpirun keeps files for its ranks; Open MPI 5 reads the topology there, or dies. Other
engines show this folder by themselves."""
_TARGETS = ("target", "dst", "destination")
"""What `--mount` calls the place inside."""


class PodmanHpcEngine(Engine):
    """`podman-hpc run`, or `shared-run` for all ranks of a node in one container.

    NERSC/podman-hpc 1.2.2, podman_hpc.py and etc/modules.d. It hands on no variable by itself, so
    each is named; a name alone takes the host's value, and a star stands for any end of it
    (podman-run(1)). MPI of the host comes by flags of the site's modules, such as `--mpi` or
    `--openmpi-pmix`, in the site's `args`; with a module that says `shared_run`, as `--mpi` does,
    `run` is a `shared-run` as well.
    """

    program = "podman-hpc"
    reads_image_environment = False
    makes_namespaces = True
    takes_files = False

    def command(self, box: Box) -> list[str]:
        """Ranks share the host's network, memory and process numbers, as MPI wants it.

        They keep the user's number, too: PMIx takes no rank that says to be root and is not
        (open-mpi/ompi 12146), and Open MPI then waits for ever.
        """
        words = ["env", *(f"PODMANHPC_{place}" for place in _PLACES), self.program]
        words += ["shared-run"] if box.ranks_per_node else ["run", "--rm"]
        words += ["--gpu"] if box.device == "cuda" else []
        # AMD's devices, as ROCm documents it for docker
        words += ["--device=/dev/kfd", "--device=/dev/dri"] if box.device == "rocm" else []
        words += ["--network=host", "--ipc=host", "--pid=host"]
        words += [] if any(a.partition("=")[0] in _USERS for a in box.args) else [_KEPT]
        words += box.args
        binds = [_with_target(bind) for bind in box.binds]
        targets = {_clean(place) for place in (*map(_target, binds), *_targets(box.args))}
        # podman starts nothing where two of them have the same target
        for bind in binds if _FILES in targets else [_with_target(_FILES), *binds]:
            words += ["--volume", bind]
        if box.workdir:
            words += ["--workdir", box.workdir]
        names = [*_LAUNCHERS, *_OURS, *(name for name in box.passed if name not in _SKIPPED)]
        for name in dict.fromkeys(n for n in names if n in _OURS or not n.startswith("HPCTRAIN_")):
            words += ["--env", name]
        if _MESSAGES not in {*box.passed, *box.env}:
            words += ["--env", f"{_MESSAGES}=hash"]
        if box.library_path:
            words += ["--env", ShellText("LD_LIBRARY_PATH=", LIBRARY_PATH)]
        for name, value in sorted(box.env.items()):
            words += ["--env", ShellText(f"{name}={value}")]
        return [*words, box.image.removeprefix("docker://")]

    def inspect(self, image: str) -> list[str]:
        """Of the user's store and of migrated images; `image inspect` knows the first alone."""
        name = image.removeprefix("docker://")
        return [self.program, "images", "--format", "{{json .Labels}}", name]

    def read_labels(self, text: str) -> dict[str, str]:
        """A line for each store that has the image."""
        if not text.strip():
            raise ValueError(f"{self.program} images lists no such image; pull or migrate it first")
        return super().read_labels(text.splitlines()[0])


def _with_target(bind: str) -> str:
    """`--volume` wants a target, where others take the source for one."""
    if isinstance(bind, ShellVariable):
        return ShellText(bind, ":", bind)
    return bind if ":" in bind else f"{bind}:{bind}"


def _target(volume: str) -> str:
    """Of SOURCE:TARGET[:OPTIONS], or of TARGET alone, for a new volume."""
    return volume.split(":")[1] if ":" in volume else volume


def _targets(args: Sequence[str]) -> Iterator[str]:
    """Where the site's own words show something inside; podman-run(1)."""
    for i, arg in enumerate(args):
        option, has_value, value = arg.partition("=")
        if arg.startswith("-v") and arg != "-v":
            option, value = "-v", arg[2:].removeprefix("=")
        elif not has_value:
            value = "".join(args[i + 1 : i + 2])
        if option in ("-v", "--volume"):
            yield _target(value)
        elif option == "--tmpfs":
            yield value.partition(":")[0]
        elif option == "--mount":
            parts = (part.partition("=") for part in value.split(","))
            yield from (place for name, _, place in parts if name in _TARGETS)


def _clean(place: str) -> str:
    """As podman compares targets; normpath leaves two slashes at the begin."""
    return posixpath.normpath(f"/{place.lstrip('/')}")
