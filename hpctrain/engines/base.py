"""What a container engine is: a pure function from what ranks need to the words of a command."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from hpctrain.shell_words import ShellVariable

HOST_PREFIXES = ("OPAL_PREFIX", "PMIX_PREFIX", "PMIX_INSTALL_PREFIX", "PRTE_PREFIX")
"""Where an Open MPI that was moved finds its parts; its mpirun sets them for every rank."""
LIBRARY_PATH = ShellVariable("library_path")
"""Variable of the run script with the folders that go first among the image's libraries."""
SINGLE_COPY = "OMPI_MCA_btl_vader_single_copy_mechanism"
"""Open MPI 4: how ranks of a node read each other's memory; `none`: by a copy in shared memory."""
CMA = "MPIR_CVAR_CH4_CMA_ENABLE"
"""MPICH 5: whether they read it at all; `0`: by a copy in shared memory."""
APART = {"openmpi": (SINGLE_COPY, "none"), "mpich": (CMA, "0")}
"""Family of MPI to what keeps ranks from memory that they cannot read, and its value."""


@dataclass(frozen=True)
class Box:
    """What ranks need of an image.

    Attributes:
        image: file, folder, or name in the engine's own store.
        binds: SOURCE[:TARGET[:OPTIONS]], in order.
        workdir: folder that the program starts in; empty: the engine's choice.
        device: whose GPUs are to be seen; empty: none.
        args: the site's own words.
        ranks_per_node: how many of them share one namespace on a node; 0: each has its own.
        library_path: folders of the host's MPI; the script has them in LIBRARY_PATH.
        env: variables that are set inside alone.
        passed: variables that the program must get, for engines that hand on none by themselves.
    """

    image: str
    binds: Sequence[str] = ()
    workdir: str = ""
    device: Literal["", "cuda", "rocm"] = ""
    args: Sequence[str] = ()
    ranks_per_node: int = 0
    library_path: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    passed: Sequence[str] = ()


class Engine(ABC):
    """Builds the command that starts a program inside an image."""

    program: ClassVar[str]
    """Name of the command."""
    prefix: ClassVar[str] = ""
    """What stands in front of the names of variables that are set inside alone; empty: they are
    words of the command."""
    binds_variable: ClassVar[str] = ""
    """Variable with further folders to show, parted by commas; empty: there is none."""
    reads_image_environment: ClassVar[bool] = True
    """Whether it applies %environment of the definition that hpctrain renders."""
    makes_namespaces: ClassVar[bool] = False
    """Whether each start makes a user namespace, unless it is installed setuid."""
    takes_files: ClassVar[bool] = True
    """Whether images are files or folders; else names in a store of its own."""

    @abstractmethod
    def command(self, box: Box) -> list[str]:
        """Words in front of the program that runs inside."""

    @abstractmethod
    def inspect(self, image: str) -> list[str]:
        """Words of the command that prints the image's labels."""

    def escaped(self, value: str) -> str:
        """A value such that the inside gets it as it is, where the name has the prefix."""
        return value

    def read_labels(self, text: str) -> dict[str, str]:
        """Labels in what `inspect` printed.

        Raises:
            ValueError: it is something else.
        """
        page = json.loads(text)
        return labels_of(page)


def labels_of(page: object) -> dict[str, str]:
    """A table of labels; none at all may be null.

    Raises:
        ValueError: it is something else.
    """
    if page is None:
        return {}
    if not isinstance(page, dict):
        raise ValueError(f"found {str(page)[:80]!r} where labels should be")
    return {str(name): str(value) for name, value in page.items()}


def without_options(bind: str) -> str:
    """SOURCE[:TARGET], for engines that know no options."""
    if isinstance(bind, ShellVariable):
        return bind
    return ":".join(bind.split(":")[:2])
