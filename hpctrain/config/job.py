"""The job file: what is trained, on which data, with which resources."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from pydantic_core import PydanticCustomError

from hpctrain.config.chain import Chain
from hpctrain.config.crops import crop_misfit
from hpctrain.config.data import Data, Fields, Pairs, Scroll
from hpctrain.config.schema import Schema
from hpctrain.config.site_container import Engine
from hpctrain.config.sweep import Sweep
from hpctrain.config.task import Task
from hpctrain.config.walltime import Walltime
from hpctrain.config.words import Environment, Line, Name, Variable, Word
from hpctrain.errors import ConfigError


class Resources(Schema):
    """What is asked of the machine."""

    nodes: PositiveInt = 1
    """Machines that run the job together."""
    ranks_per_node: PositiveInt
    """Processes on each node; with GPUs usually one a GPU."""
    gpus_per_rank: NonNegativeInt = 0
    """GPUs that each rank sees; 0 trains on the CPU."""
    cpus_per_rank: PositiveInt = 1
    """Cores, and threads of arithmetic, of each rank."""
    walltime: Walltime
    """Longest time that one start of the job may take, quoted: "HH:MM:SS"."""
    queue: Word | None = None
    """Queue, partition or QOS; null: the scheduler's own choice."""
    account: Word | None = None
    """Project that is charged; null: the scheduler's own choice."""
    priority: Word | None = None
    """Priority class, where the site has such; null: the scheduler's own choice."""
    memory_gb_per_node: PositiveInt | None = None
    """Main memory of each node in GB; null: not asked for."""
    filesystems: list[Word] = []
    """File systems the job needs, where the site wants them named."""
    directives: list[Line] = []
    """More directives of this job, without the #PBS, #SBATCH or #COBALT in front."""


class Launch(Schema):
    """How the ranks are started and how they talk."""

    launcher: Literal[
        "site", "openmpi", "pals", "hydra", "srun", "aprun", "ibrun", "jsrun", "torchrun", "none"
    ] = "site"
    """What starts the ranks; site: what the machine's profile says; torchrun: DDP, one torchrun a
    node, which the site's launcher starts."""
    comm: Literal["auto", "horovod", "ddp", "mpi", "single"] = "auto"
    """auto: Horovod where it is installed, else torch's DDP; mpi: mpi4py; single: one rank."""
    python: Line | None = None
    """Interpreter on the compute nodes: path or name; null: this one (in a container: python3)."""
    env: Environment = {}
    """More environment variables of every rank; values are taken literally, $ expands nothing."""
    template: Line | None = None
    """Template of the run script, from a folder of one's own; null: that of the scheduler."""
    warning_s: PositiveInt | None = None
    """How long before the end the script asks the training to save; null: the site's."""


class Container(Schema):
    """Run every rank inside an image."""

    image: Line
    """Image file; relative to where `render` is called. For podman-hpc docker://NAME, as it lists
    it."""
    engine: Engine | None = None
    """Program that starts the image; null: the site's."""
    binds: list[Line] = []
    """Folders of the host to mount, as SOURCE[:TARGET[:OPTIONS]]; run and data are there anyway."""
    copy_to_node: bool | None = None
    """Copy the image file to each node's own disk (the site's `scratch`) before the ranks start,
    and remove it afterwards; null: as the site says."""


class Job(Schema):
    """A whole job file."""

    version: Literal[1] = 1
    """Version of this format."""
    name: Name
    """Name of the job and of its run directory."""
    site: Line = "auto"
    """Machine profile: a name, a YAML file, or auto to look at this host."""
    resources: Resources
    """What is asked of the machine."""
    launch: Launch = Launch()
    """How the ranks are started."""
    container: Container | None = None
    """Image to run in; null: none."""
    data: Data
    """What is read."""
    train: Task
    """What is learned."""
    code: list[Line] = Field(default=[])
    """Folders with the user's own modules; relative to where `render` is called."""
    after: dict[Name, Literal["ok", "any", "failed"]] = {}
    """Runs to wait for: finished well, ended in any way, or failed."""
    chain: Chain | None = None
    """Go on in further jobs until the training is finished; null: one job."""
    sweep: Sweep | None = None
    """Make many runs of this file; null: one."""
    macros: dict[Variable, bool | int | float | Line] = {}
    """Values for templates of one's own, there as `macros.NAME`."""

    @property
    def total_ranks(self) -> int:
        """Ranks over all nodes."""
        return self.resources.nodes * self.resources.ranks_per_node

    @property
    def batch_size_per_rank(self) -> int:
        """Samples that one rank takes a step."""
        return self.train.global_batch_size // self.total_ranks

    @property
    def fields(self) -> Fields:
        """The `data:` block of a task that learns from fields.

        Raises:
            ConfigError: it is of another kind.
        """
        if not isinstance(self.data, Fields):
            raise self._other_kind("fields")
        return self.data

    @property
    def scroll(self) -> Scroll:
        """The `data:` block of a task that learns from scrolls.

        Raises:
            ConfigError: it is of another kind.
        """
        if not isinstance(self.data, Scroll):
            raise self._other_kind("scroll")
        return self.data

    @property
    def pairs(self) -> Pairs:
        """The `data:` block of a task that learns from pairs of pictures.

        Raises:
            ConfigError: it is of another kind.
        """
        if not isinstance(self.data, Pairs):
            raise self._other_kind("pairs")
        return self.data

    def _other_kind(self, wanted: str) -> ConfigError:
        return ConfigError(
            f"data.kind: job {self.name} is about {self.data.kind}, and this takes {wanted}; name "
            f"a job or run with kind: {wanted}"
        )

    @model_validator(mode="after")
    def _ranks_divide_batch(self) -> Job:
        batch, parts = self.train.global_batch_size, self.total_ranks * self.train.accumulate
        if batch % parts:
            raise PydanticCustomError(
                "rule", "{text}", {"text": self._batch_text(batch, parts), "path": _BATCH}
            )
        return self

    def _batch_text(self, batch: int, parts: int) -> str:
        below, above = batch // parts * parts, (batch // parts + 1) * parts
        sizes = " or ".join(str(n) for n in (below, above) if n)
        share, accumulate = divmod(batch, self.train.accumulate)
        ranks = [n for n in range(1, share + 1) if share % n == 0] if not accumulate else []
        nearest = sorted(sorted(ranks, key=lambda n: abs(n - self.total_ranks))[:4])
        other = f", or {' or '.join(map(str, nearest))} ranks" if nearest else ""
        return (
            f"{batch} samples cannot be shared equally by {self.total_ranks} ranks"
            f"{f' x {self.train.accumulate} micro-batches' if self.train.accumulate > 1 else ''}; "
            f"nearest that work: {sizes} samples{other}"
        )

    @model_validator(mode="after")
    def _parts_divide_batch(self) -> Job:
        batch, parts = self.train.global_batch_size, self.data.order.parts
        if parts and batch % parts:
            raise PydanticCustomError(
                "rule",
                "{parts} parts, and a batch of {batch} takes as many samples from each; give a "
                "number that divides it, or leave it out: one a rank",
                {"parts": parts, "batch": batch, "path": ("data", "order", "parts")},
            )
        return self

    @model_validator(mode="after")
    def _data_fit_task(self) -> Job:
        found = self._misfit()
        if found is not None:
            key, text = found
            raise PydanticCustomError("rule", "{text}", {"text": text, "path": ("data", key)})
        return self

    def _misfit(self) -> tuple[str, str] | None:
        """Key of the `data:` block, and why the task cannot learn from it; None: it can."""
        task, reads = self.train.task, self.train.reads
        if self.data.kind != reads:
            return "kind", (
                f"found {self.data.kind}, and task {task} learns from {reads}; give kind: {reads}, "
                "or another task"
            )
        if isinstance(self.data, Fields) and self.data.slice_axes != (0,) and task != "field_gan":
            return "slice_axes", "has an effect with task: field_gan alone; leave it out"
        if isinstance(self.data, Scroll):
            samples, batch = self.data.samples_per_epoch, self.train.global_batch_size
            if samples < batch:
                text = (
                    f"found {samples}, and train.global_batch_size is {batch}; give at least that"
                )
                return "samples_per_epoch", text
        found = self.train.misfit(self.data)
        if found is None and isinstance(self.data, Fields):
            found = crop_misfit(self.data, self.train)
        return found

    @model_validator(mode="after")
    def _single_is_alone(self) -> Job:
        if self.launch.comm == "single" and self.total_ranks > 1:
            raise PydanticCustomError(
                "rule",
                "single means one rank, and the job has {ranks}; "
                "choose auto, horovod, ddp or mpi, or ranks_per_node: 1",
                {"ranks": self.total_ranks, "path": ("launch", "comm")},
            )
        return self


_BATCH = ("train", "global_batch_size")
