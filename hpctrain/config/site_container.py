"""What a container needs on a machine: the engine, and how the host's MPI gets into the image."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from hpctrain.config.address import Address
from hpctrain.config.mpi_release import ArchivePath, named_by, refuse_release
from hpctrain.config.schema import Schema
from hpctrain.config.words import ContainerArg, Environment, Line, Words

Engine = Literal["apptainer", "singularity", "charliecloud", "podman-hpc"]


class SiteBuild(Schema):
    """How images for this machine are built; null: as containers/versions.yaml says."""

    base: Address | None = None
    """What they begin with: docker://IMAGE, debian12, or the path of an image that is there."""
    mirror: Address | None = None
    """Mirror of Debian, for a base of its packages."""
    mpi_from: Literal["source", "distribution"] | None = None
    """Compile the MPI, or take the distribution's package."""
    mpi_version: Line | None = None
    """Release of the MPI that is compiled; one whose ABI the host's MPI stands for."""
    mpi_source: ArchivePath | None = None
    """Archive of that release on this machine, where its host on the network cannot be reached;
    an absolute path."""
    pip_index: Address | None = None
    """Index of Python packages."""
    torch_index: Address | None = None
    """Index that has torch for this machine's devices; `pip`: the one of the other packages."""
    modules: list[Words] = []
    """Words after `module` before an image is built, such as "load apptainer"."""
    binds: list[Line] = []
    """Folders of the host that are there while an image is built, as SOURCE[:TARGET]."""

    @model_validator(mode="after")
    def _one_release(self) -> SiteBuild:
        # else every job would fail, and by the names of options that nobody gave
        for key in ("mpi_source", "mpi_version"):
            if self.mpi_from == "distribution" and getattr(self, key) is not None:
                raise ValueError(
                    f"{key} has no effect on a distribution's package (mpi_from: distribution); "
                    "leave one of the two out"
                )
        if self.mpi_source is None:
            return self
        _, named = named_by(self.mpi_source)
        if named is None and self.mpi_version is None:
            raise ValueError(
                f"mpi_source {self.mpi_source!r}: its name says no release, as "
                "openmpi-1.2.3.tar.bz2 does; give mpi_version, too"
            )
        if named and self.mpi_version and named != self.mpi_version:
            raise ValueError(
                f"mpi_source {self.mpi_source!r} is release {named}, and mpi_version says "
                f"{self.mpi_version}; leave mpi_version out, or name that release's archive"
            )
        if self.mpi_version is not None:
            try:
                refuse_release(self.mpi_version)
            except ValueError as e:
                raise ValueError(f"mpi_version: {e}") from None
        return self


class SiteContainer(Schema):
    """What a container needs on this machine."""

    engine: Literal[Engine, "none"] = "apptainer"
    """Program that starts images here; none: there is none, and jobs with an image are refused."""
    mpi: Literal["openmpi", "mpich"] = "openmpi"
    """ABI family of the host's MPI; the image must hold the same."""
    abi: Literal["hybrid", "bind"] = "hybrid"
    """hybrid: ranks use the image's own MPI; bind: the host's, which `binds` shows in the image and
    `library_path` puts before the image's own."""
    library_path: list[Line] = []
    """With abi: bind, folders of the host's libraries, the first ones first; $NAMES are expanded by
    the run script, after `setup`."""
    env: Environment = {}
    """Variables that are set inside the image alone, such as LD_PRELOAD of a host's library."""
    gpu_flag: Literal["--nv", "--rocm"] = "--nv"
    """Flag that lets the image see the GPUs, in the words of apptainer; others translate it."""
    args: list[ContainerArg] = []
    """More words of the engine, none that clears the environment."""
    binds: list[Line] = []
    """Folders of the host that MPI needs."""
    setup: list[Line] = []
    """Shell lines before the launch, written as they are."""
    build: SiteBuild = SiteBuild()
    """How images are built for this machine."""
    one_namespace: bool = False
    """All ranks of a node in one user namespace, or they cannot read each other's memory (CMA,
    XPMEM): needed where the engine is not installed setuid; apptainer 1.3 or newer."""
    copy_to_node: bool = False
    """Copy the image file to `scratch` of each node before the ranks start; a job may differ."""

    @model_validator(mode="after")
    def _source_is_of_the_family(self) -> SiteContainer:
        found = named_by(self.build.mpi_source)[0] if self.build.mpi_source else None
        if found not in (None, self.mpi):
            raise ValueError(
                f"build.mpi_source {self.build.mpi_source!r} is {found}'s, and mpi says "
                f"{self.mpi}; name an archive of {self.mpi}, or mpi: {found}"
            )
        return self

    @model_validator(mode="after")
    def _path_is_for_bind(self) -> SiteContainer:
        if self.abi == "bind" and not self.library_path:
            raise ValueError("abi: bind needs library_path, the folders of the host's MPI")
        if self.abi == "hybrid" and self.library_path:
            raise ValueError("library_path has an effect with abi: bind alone; leave it out")
        if self.one_namespace and self.engine == "singularity":
            raise ValueError(
                "one_namespace needs apptainer, charliecloud or podman-hpc; singularity starts "
                "every rank in a namespace of its own"
            )
        return self
