"""A machine as data: scheduler, launcher, nodes, queues, and where each fact comes from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from hpctrain.config.address import Address
from hpctrain.config.schema import Schema
from hpctrain.config.site_container import SiteContainer
from hpctrain.config.walltime import Walltime
from hpctrain.config.words import Environment, Line, Name, Variable, Word, Words


class LauncherSpec(Schema):
    """How this machine starts the ranks of a job."""

    kind: Literal["openmpi", "pals", "hydra", "srun", "aprun", "ibrun", "jsrun", "none"]
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
    chunk: list[Literal["ncpus", "mpiprocs", "ngpus"]] = ["ncpus", "mpiprocs", "ngpus"]
    """PBS: which amounts are written into every chunk."""
    filesystems: Line | None = None
    """Option that takes the file systems; null: this machine does not want them named."""
    filesystems_separator: Literal[":", ","] = ":"
    """What stands between file systems."""
    priority: Line | None = None
    """Option that takes the priority class, such as `-l job_priority=`; null: there are none."""
    memory: Line | None = None
    """Slurm: option that takes the memory of a node, such as `--mem=`; null: none is written."""
    forbidden: list[Line] = []
    """Options that this machine refuses, such as `--gres`."""
    keep: Word | None = None
    """PBS: value of -k, such as doe to write the log in place while the job runs; null: no -k."""
    warning_s: PositiveInt = 120
    """How long before the end the script asks for a checkpoint; Slurm may do it 60 s earlier."""


class Limits(Schema):
    """One legal combination of size and time in a queue."""

    nodes: tuple[PositiveInt, PositiveInt]
    """Fewest and most nodes."""
    walltime: Walltime
    """Longest walltime."""
    min_walltime: Walltime | None = None
    """Shortest walltime; null: the site's."""


class Rules(Schema):
    """What holds in one queue, beside its limits."""

    is_chaining_allowed: bool = True
    """Whether a job may hand itself in again."""
    max_array: NonNegativeInt | None = None
    """Most elements of a job array; 0: no arrays; null: not known."""
    max_queued: PositiveInt | None = None
    """Most jobs of one user in the queue; null: not known."""
    max_running: PositiveInt | None = None
    """Most jobs of one user that run at a time; null: not known."""
    is_preemptable: bool = False
    """Whether jobs may be thrown out for others."""
    charge_factor: NonNegativeFloat = 1.0
    """What the site's charge is multiplied by."""
    cpus_per_node: PositiveInt | None = None
    """Cores of this queue's nodes; null: the site's."""
    gpus_per_node: NonNegativeInt | None = None
    """GPUs of this queue's nodes; null: the site's."""
    gpu_order: list[NonNegativeInt] | None = None
    """Order of the GPUs of this queue's nodes; null: the site's."""
    whole_nodes: bool | None = None
    """Whether jobs get whole nodes; null: as the site says."""
    option: Line | None = None
    """Option that takes this queue, such as `--qos=`; null: the site's."""
    select: list[Line] = []
    """PBS: more parts of every chunk in this queue."""
    extra: list[Line] = []
    """More directives in this queue."""


class Charge(Schema):
    """What a job costs."""

    unit: Line
    """What is charged, such as node-hours or GPU-hours."""
    per_node_hour: PositiveFloat = 1.0
    """How many of them an hour of one node costs."""
    min_nodes: PositiveInt = 1
    """Smaller jobs are charged for so many nodes."""


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
    login_ranks: bool = True
    """Whether `hpctrain doctor` may start two ranks on a login node, if the launcher can."""
    filesystems: list[Word] = []
    """File systems that may be named; empty: not known."""
    queues: dict[str, list[Limits]] = {}
    """Queues and what is legal in them; []: not known; "*": all others; empty: none is known."""
    rules: dict[str, Rules] = {}
    """More about queues; "*": all that are not named."""
    priorities: dict[str, NonNegativeFloat] = {}
    """Priority classes, and what each multiplies the charge by; empty: none is known."""
    charge: Charge | None = None
    """What a job costs; null: not known, counted in node-hours."""
    min_walltime: Walltime | None = None
    """Shortest walltime of a job; null: none."""
    mounts: dict[Word, list[Line]] = {}
    """Folders that belong to each file system that can be named."""
    scratch: Line | None = None
    """Folder on a disk of each node's own, for `data.stage`; variables such as $TMPDIR are expanded
    on the node; null: none."""
    scratch_gb: PositiveFloat | None = None
    """Size of that disk in GB; null: not known."""
    modules: list[Words] = []
    """Words after `module`, such as "load cudatoolkit"."""
    env: Environment = {}
    """Variables that every job on this machine wants."""
    proxy: Address | None = None
    """Address of the web proxy of compute nodes, without a password."""
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

    def rules_of(self, queue: str | None) -> Rules:
        """What holds in a queue."""
        return self.rules.get(queue or "", self.rules.get("*", Rules()))

    def for_queue(self, queue: str | None) -> Site:
        """The site as jobs of one queue see it: with the nodes and directives of that queue."""
        rules = self.rules_of(queue)
        names = ("cpus_per_node", "gpus_per_node", "gpu_order", "whole_nodes")
        own = {name: getattr(rules, name) for name in names if getattr(rules, name) is not None}
        if "gpus_per_node" in own and "gpu_order" not in own:
            own["gpu_order"] = []  # the site's order is that of other nodes
        directives = self.directives.model_copy(
            update={
                "queue": rules.option or self.directives.queue,
                "select": [*self.directives.select, *rules.select],
                "extra": [*self.directives.extra, *rules.extra],
            }
        )
        return self.model_copy(update={**own, "directives": directives})

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
