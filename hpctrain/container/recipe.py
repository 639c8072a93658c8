"""What goes into an image: its base, MPI, device and what averages the gradients."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpctrain.config.address import refuse_password
from hpctrain.config.words import nearest
from hpctrain.container.mpi_source import MpiSource, mpi_source
from hpctrain.container.typed_path import typed_path
from hpctrain.container.versions import versions
from hpctrain.errors import ConfigError

FAMILIES, DEVICES, COMMS = ("openmpi", "mpich"), ("cpu", "cuda", "rocm"), ("horovod", "ddp")
ORIGINS = ("source", "distribution")
_SAFE = re.compile(r"[A-Za-z0-9_.:/@%+~,=-]+")


@dataclass(frozen=True)
class Base:
    """What an image begins with: a public image, one that is here, or a distribution's packages.

    Attributes:
        bootstrap: Apptainer's word for it.
        source: name of the public image, path of the one that is here, or the release.
        mirror: where a distribution's packages come from.
    """

    bootstrap: str
    source: str
    mirror: str | None = None


@dataclass(frozen=True)
class Recipe:
    """A combination, with everything that a definition is written from.

    Attributes:
        base: what the image begins with.
        family: ABI family of its MPI.
        mpi_version: release that is compiled; None: the distribution's package.
        source: archive of that release on this machine; None: it is fetched.
        device: cpu, cuda or rocm.
        comm: horovod, or ddp for an image without it.
        pip_index: where Python packages come from; None: as pip is configured.
        torch_index: where torch comes from; None: as pip is configured.
        exports: variables while it is built, such as a proxy.
        notes: lines for whoever builds it.
    """

    base: Base
    family: str
    mpi_version: str | None
    device: str
    comm: str
    source: MpiSource | None = None
    pip_index: str | None = None
    torch_index: str | None = None
    exports: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())


def recipe(
    *,
    family: str = "openmpi",
    device: str = "cpu",
    comm: str = "horovod",
    base: str | None = None,
    mpi_from: str | None = None,
    mpi_version: str | None = None,
    source: str | None = None,
    mirror: str | None = None,
    pip_index: str | None = None,
    torch_index: str | None = None,
    proxy: str | None = None,
    is_replaced: bool = False,
    notes: tuple[str, ...] = (),
    cwd: Path = Path("/"),
) -> Recipe:
    """Check a combination and fill in what the table of versions says.

    Args:
        family: openmpi or mpich.
        device: cpu, cuda or rocm.
        comm: horovod or ddp.
        base: `docker://IMAGE`, a name of the table such as debian12, or a file or folder.
        mpi_from: source, or distribution for its package; default: by the base.
        mpi_version: release to compile; default: the table's, or that of `source`.
        source: archive of the release; default: it is fetched while the image is built.
        mirror: of Debian, where the base is made of its packages.
        pip_index: where Python packages come from.
        torch_index: where torch comes from; `pip`: where the others do.
        proxy: of the machine on which the image is built.
        is_replaced: the host's MPI takes the place of the image's at run time.
        notes: lines for whoever builds it.
        cwd: folder that a relative path of a base starts from.

    Raises:
        ConfigError: an option is unknown, or does not fit the others.
    """
    table = versions()
    _one_of("mpi", family, FAMILIES)
    _one_of("device", device, DEVICES)
    _one_of("comm", comm, COMMS)
    found = _base(base or table["device"][device]["base"], mirror, table, cwd)
    if mpi_from is None:
        is_compiled = is_replaced or not (mpi_version is None and source is None)
        is_packaged = found.bootstrap == "debootstrap" and not is_compiled
        mpi_from = "distribution" if is_packaged else "source"
    _one_of("mpi-from", mpi_from, ORIGINS)
    if is_replaced and (family, mpi_from) == ("mpich", "distribution"):
        raise ConfigError(
            "--mpi-from: distribution: its MPICH has a library name of its own, which the host's "
            "cannot replace (the site says abi: bind); take source"
        )
    if found.bootstrap == "debootstrap" and device != "cpu":
        raise ConfigError(
            f"--base: {base} has no {device.upper()}; choose an image that has, docker:// or local"
        )
    if torch_index is None:
        torch_index = table["device"][device]["torch_index"]
    for name, value in (("pip-index", pip_index), ("torch-index", torch_index), ("proxy", proxy)):
        _safe(name, value)
    archive = _archive(mpi_from, mpi_version, source, family, cwd)
    names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
    return Recipe(
        base=found,
        family=family,
        mpi_version=archive.version
        if archive
        else _release(mpi_from, mpi_version, table["mpi"][family], family),
        source=archive,
        device=device,
        comm=comm,
        pip_index=pip_index,
        torch_index=pip_index if torch_index == "pip" else torch_index,
        exports=tuple((name, proxy) for name in names) if proxy else (),
        notes=notes,
    )


def _base(text: str, mirror: str | None, table: dict[str, Any], cwd: Path) -> Base:
    known = table["debootstrap"]
    _safe("mirror", mirror)
    if text in known:
        return Base("debootstrap", known[text]["suite"], mirror or known[text]["mirror"])
    if mirror is not None:
        names = ", ".join(known)
        raise ConfigError(f"--mirror: has no effect with base {text}; it goes with --base {names}")
    if text.startswith("docker://"):
        _safe("base", text)
        return Base("docker", text.removeprefix("docker://"))
    if "://" in text or not ("/" in text or text.endswith(".sif")):
        raise ConfigError(
            f"--base: unknown base {text!r}; choose docker://IMAGE, {', '.join(known)}, or the "
            f"path of an image (./NAME for one here){nearest(text, known)}"
        )
    path = typed_path("--base", text, cwd)
    if any(ord(c) < 32 or ord(c) == 127 for c in path) or "{{" in path:
        raise ConfigError(f"--base: {path!r} cannot stand in a definition; rename it")
    return Base("localimage", path)


def _release(origin: str, version: str | None, table: dict[str, Any], family: str) -> str | None:
    if origin == "distribution":
        if version is not None:
            raise ConfigError(
                f"--mpi-version: {version} has no effect on a distribution's package; leave it "
                "out, or take --mpi-from source"
            )
        return None
    version = table["default"] if version is None else version
    if version not in table["releases"]:
        raise ConfigError(
            f"--mpi-version: no release {version!r} of {family} is known; choose from "
            f"{', '.join(table['releases'])}, give its archive with --mpi-source, or add it to "
            "your own containers/versions.yaml"
        )
    return version


def _archive(
    origin: str, version: str | None, source: str | None, family: str, cwd: Path
) -> MpiSource | None:
    if source is None:
        return None
    if origin == "distribution":
        raise ConfigError(
            f"--mpi-source: {source} has no effect on a distribution's package; leave it out, or "
            "take --mpi-from source"
        )
    return mpi_source(source, family, version, cwd)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(
            f"--{name}: unknown value {value!r}; choose from {', '.join(allowed)}"
            f"{nearest(value, allowed)}"
        )


def _safe(name: str, value: str | None) -> None:
    if value is None:
        return
    try:
        refuse_password(value)
    except ValueError as e:
        raise ConfigError(f"--{name}: {e}") from None
    if not _SAFE.fullmatch(value):
        raise ConfigError(
            f"--{name}: {value!r} cannot stand in a definition; allowed: letters, digits and any "
            "of _ . : / @ % + ~ , = -"
        )
