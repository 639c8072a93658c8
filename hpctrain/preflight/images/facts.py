"""What is known of an image: by its labels, or by looking inside."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_FAMILIES = {"Open MPI": "openmpi", "MPICH": "mpich", "Intel(R) MPI": "mpich", "CRAY": "mpich"}
"""What MPI_Get_library_version says, to the ABI family."""


@dataclass(frozen=True)
class ImageFacts:
    """What matters of an image; empty: not known.

    Attributes:
        source: labels or inside.
        mpi: ABI family, openmpi or mpich; empty where there is no MPI, if looked inside.
        mpi_version: of that MPI.
        soname: name by which programs ask for its library.
        library: file that this name leads to; known from inside alone.
        pmi: interfaces by which its ranks can find each other.
        pmix: version of PMIx.
        glibc: version of the C library.
        arch: machine, as uname says.
        device: cpu, cuda or rocm.
        cuda: version that torch was built for.
        torch: version.
        has_horovod: None: not known.
        missing: libraries that Horovod or mpi4py ask for and that do not load, with the reason.
    """

    source: str
    mpi: str = ""
    mpi_version: str = ""
    soname: str = ""
    library: str = ""
    pmi: tuple[str, ...] = ()
    pmix: str = ""
    glibc: str = ""
    arch: str = ""
    device: str = ""
    cuda: str = ""
    torch: str = ""
    has_horovod: bool | None = None
    missing: tuple[str, ...] = ()

    def page(self) -> dict[str, Any]:
        """What is known, for programs."""
        return {name: value for name, value in asdict(self).items() if value not in ("", (), None)}


def from_labels(labels: Mapping[str, str]) -> ImageFacts:
    """Facts in labels of hpctrain."""
    own = {n.removeprefix("hpctrain."): v for n, v in labels.items() if n.startswith("hpctrain.")}
    family, _, version = own.get("mpi", "").partition(":")
    arch = labels.get("org.label-schema.build-arch", "")
    return ImageFacts(
        source="labels",
        mpi=family,
        mpi_version=version,
        soname=own.get("mpi.soname", ""),
        pmi=tuple(re.split(r"[,\s]+", own["pmi"])) if own.get("pmi") else (),
        pmix=own.get("pmix", ""),
        glibc=own.get("glibc", ""),
        arch={"amd64": "x86_64", "arm64": "aarch64"}.get(arch, arch),
        device=own.get("device", ""),
        cuda=own.get("cuda", ""),
        torch=own.get("torch", ""),
        has_horovod="horovod" in own,
    )


def from_probe(page: Mapping[str, Any]) -> ImageFacts:
    """Facts that probe.py printed inside.

    Raises:
        LookupError: it printed something else.
        TypeError: likewise.
    """
    _ = page["python"]
    text = str(page.get("version_text", ""))
    # Cray's is an MPICH too, and Intel's
    family = next((own for words, own in _FAMILIES.items() if words in text), "")
    numbers = re.search(r"(?:v|Version:?\s*|version\s*)(\d+[\w.]*)", text)
    cuda, rocm = str(page.get("cuda", "")), str(page.get("rocm", ""))
    device = "cuda" if cuda else "rocm" if rocm else "cpu"
    errors = page.get("errors", {})
    return ImageFacts(
        source="inside",
        mpi=family,
        mpi_version=numbers.group(1) if numbers else "",
        soname=str(page.get("soname", "")),
        library=str(page.get("library", "")),
        pmi=tuple(page.get("pmi", ())),
        pmix=str(page.get("pmix", "")),
        glibc=str(page.get("glibc", "")),
        arch=str(page.get("arch", "")),
        device=device if page.get("torch") else "",
        cuda=cuda,
        torch=str(page.get("torch", "")),
        has_horovod=bool(page.get("has_horovod")),
        missing=tuple(f"{name} ({text})" for name, text in errors.items()),
    )
