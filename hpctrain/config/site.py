"""A machine as data: scheduler, launcher, nodes, queues, and where each fact comes from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from hpctrain.config.schema import Schema
from hpctrain.config.walltime import Walltime
from hpctrain.config.words import ContainerArg, Environment, Line, Name, Variable, Word, Words


class LauncherSpec(Schema):
    """How this machine starts the ranks of a job."""

    kind: Literal["openmpi", "pals", "hydra", "srun", "aprun", "none"]
    """Family; decides flags, export of variables and signals."""
    command: Line | None = None
    """Program; null: the family's usual one."""
    args: list[Line] = []
    """More words, put before the program that is started."""
    cpu_bind: Line | None = None
    """Binding in the family's own words (none, core, depth, ...); null: the family's default."""
    hostfile_variable: Variable | None = None
    """Variable that names the file of hosts; null: the launcher knows its hosts."""
    oversubscribe: bool = False
    """Allow more ranks than cores (Open MPI)."""


class Directives(Schema):
    """How directive lines look on this machine."""

    required: list[Literal["account", "queue", "filesystems"]] = []
    """Values of `resources` that the scheduler refuses to do without."""
    extra: list[Line] = []
    """More directives, without the #PBS, #SBATCH or #COBALT in front."""
    queue: Line | None = None
    """Option that takes the queue; null: the scheduler's usual one (Slurm: --partition=)."""
    gpus: Line | None = None
    """Slurm: option that takes the GPUs of a node; null: none is written."""
    select: list[Line] = []
    """PBS: more parts of every chunk in `-l select`."""
    filesystems: Line | None = None
    """Option that takes the file systems; null: this machine does not want them named."""
    filesystems_separator: Literal[":", ","] = ":"
    """What stands between file systems."""
    keep: Word | None = None
    """PBS: value of -k, such as doe to write the log in place while the job runs; null: no -k."""
    warning_s: PositiveInt = 120
    """Slurm: how long before the end the batch shell gets USR1."""


class Limits(Schema):
    """One legal combination of size and time in a queue."""

    nodes: tuple[PositiveInt, PositiveInt]
    """Fewest and most nodes."""
    walltime: Walltime
    """Longest walltime."""
    min_walltime: Walltime | None = None
    """Shortest walltime; null: the site's."""


class SiteContainer(Schema):
    """What a container needs on this machine."""

    mpi: Literal["openmpi", "mpich"] = "openmpi"
    """ABI family of the host's MPI; the image must hold the same."""
    gpu_flag: Literal["--nv", "--rocm"] = "--nv"
    """Flag that lets the image see the GPUs."""
    args: list[ContainerArg] = []
    """More words of `apptainer exec`, none that clears the environment."""
    binds: list[Line] = []
    """Folders of the host that MPI needs."""
    setup: list[Line] = []
    """Shell lines before the launch, written as they are."""


class Source(Schema):
    """Where facts of a site come from."""

    fact: str
    """What was learned."""
    source: str
    """Manual page, repository path or address."""
    date: str
    """When it was read, or the state of the machine it describes."""


class Site(Schema):
    """A machine profile."""

    name: Name
    """Name of the profile."""
    title: Line
    """One line about the machine."""
    scheduler: Literal["pbs", "slurm", "cobalt", "local"]
    """Which scheduler takes the job."""
    launcher: LauncherSpec
    """How ranks are started."""
    hostnames: list[str] = []
    """Globs of host names (login and compute) that `site: auto` recognises."""
    max_nodes: PositiveInt | None = None
    """Largest job; null: not known."""
    cpus_per_node: PositiveInt | None = None
    """Cores (or hardware threads, as the scheduler counts) of a node; null: not known."""
    gpus_per_node: NonNegativeInt | None = None
    """GPUs of a node; null: as many as `gpu_order` names, or not known."""
    whole_nodes: bool = False
    """Jobs get whole nodes, so all their cores and GPUs are asked for."""
    gpu_order: list[NonNegativeInt] = []
    """Device of local rank 0, 1, ...; empty: straight."""
    mask_variable: Variable | None = "CUDA_VISIBLE_DEVICES"
    """Variable that limits a process to some devices; null: the machine has no GPUs."""
    directives: Directives = Directives()
    """How directive lines look."""
    filesystems: list[Word] = []
    """File systems that may be named; empty: not known."""
    queues: dict[str, list[Limits]] = {}
    """Queues and what is legal in them; []: not known; "*": all others; empty: none is known."""
    min_walltime: Walltime | None = None
    """Shortest walltime of a job; null: none."""
    modules: list[Words] = []
    """Words after `module`, such as "load cudatoolkit"."""
    env: Environment = {}
    """Variables that every job on this machine wants."""
    proxy: Line | None = None
    """Address of the web proxy of compute nodes."""
    container: SiteContainer = SiteContainer()
    """What containers need."""
    defaults: dict[str, Any] = Field(default={})
    """Values of a job file that hold on this machine unless the job says otherwise."""
    sources: list[Source] = []
    """Where these facts come from."""

    @property
    def num_gpus(self) -> int | None:
        """GPUs of a node, as said or as listed; None: not known."""
        return len(self.gpu_order) or None if self.gpus_per_node is None else self.gpus_per_node

    @model_validator(mode="after")
    def _devices(self) -> Site:
        order = self.gpu_order
        if len(set(order)) != len(order):
            raise ValueError(f"gpu_order {order} names a device twice")
        if order and self.gpus_per_node is not None and len(order) != self.gpus_per_node:
            raise ValueError(
                f"gpu_order names {len(order)} devices and gpus_per_node says {self.gpus_per_node}"
            )
        if self.whole_nodes and self.cpus_per_node is None:
            raise ValueError("whole_nodes needs cpus_per_node")
        return self
