"""`hpctrain container build`: an image from a definition, layer by layer."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain.cli.container import options
from hpctrain.cli.job import Overrides, SiteName

if TYPE_CHECKING:
    from hpctrain.container.build import Plan

_DEFINITION = "container.def"
_OPTIONS = {"family": "mpi", "source": "mpi-source"}
"""Where an option is called otherwise than what it sets."""


def command(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="JOB|DEF", help="Job, run directory or definition; default: the options alone."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Image; default: the job's, else hpctrain.sif.", dir_okay=False
        ),
    ] = None,
    binds: Annotated[
        list[str] | None,
        typer.Option("--bind", metavar="SRC[:DST]", help="Of this machine, during the build only."),
    ] = None,
    variables: Annotated[
        list[str] | None,
        typer.Option("--env", metavar="NAME[=VALUE]", help="Variable, during the build only."),
    ] = None,
    host_pip: Annotated[
        bool,
        typer.Option("--host-pip", help="Let pip take indexes and certificates as it does here."),
    ] = False,
    tmp: Annotated[
        Path | None,
        typer.Option("--tmp", help="Folder for the unpacked system; default: $TMPDIR or /tmp."),
    ] = None,
    is_forced: Annotated[
        bool, typer.Option("--force", help="Build all layers again, and replace the image.")
    ] = False,
    engine: Annotated[
        str | None, typer.Option("--engine", help="apptainer or singularity; default: the first.")
    ] = None,
    overrides: Overrides = None,
    site: SiteName = None,
    mpi: options.Mpi = None,
    mpi_from: options.MpiFrom = None,
    mpi_version: options.MpiVersion = None,
    mpi_source: options.MpiSource = None,
    device: options.Device = None,
    comm: options.Comm = None,
    base: options.Base = None,
    mirror: options.Mirror = None,
    pip_index: options.PipIndex = None,
    torch_index: options.TorchIndex = None,
) -> None:
    """Build the image of a job, of a definition, or of a combination of options; needs no root.

    Each layer (system, mpi, python, horovod, labels) is kept in the user's cache under a digest of
    all that makes it, so a build that failed or was interrupted goes on where it was. The image
    takes its place at the end, once its test has passed.
    """
    given = {"family": mpi, "mpi_from": mpi_from, "mpi_version": mpi_version, "device": device}
    given |= {"comm": comm, "base": base, "mirror": mirror, "pip_index": pip_index}
    given |= {"torch_index": torch_index, "source": mpi_source}
    wanted = _wanted(what, site, overrides or [], given)
    plan = _plan(wanted, _place(wanted, output), engine, tmp, is_forced)
    _run(_with_host(plan, wanted, binds or [], variables or [], host_pip))


def _wanted(
    what: str | None, site: str | None, overrides: list[str], given: dict[str, str | None]
) -> options.Wanted:
    """The definition that is meant: a file's, a run directory's, or one made for a job."""
    from hpctrain.errors import ConfigError

    path = Path(what) if what else None
    if path and (path / _DEFINITION).is_file():
        path = path / _DEFINITION
    if not path or not (path.suffix == ".def" or path.name.startswith("Singularity")):
        return options.make(what, site, overrides, given)
    names = [name for name, value in {**given, "site": site}.items() if value is not None]
    if names or overrides:
        option = "--set" if overrides else f"--{_OPTIONS.get(names[0], names[0])}"
        raise ConfigError(
            f"{option.replace('_', '-')}: has no effect on a definition that is written already; "
            f"edit {path}, or name the job instead"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as e:
        raise ConfigError(f"{path}: no such file; `hpctrain container render -o {path}`") from e
    except UnicodeDecodeError as e:
        raise ConfigError(f"{path}: is no text, so no definition") from e
    return options.Wanted(text, _device_of(text), path.resolve().parent)


def _device_of(text: str) -> str | None:
    import re

    match = re.search(r"^\s*hpctrain\.device\s+(\w+)\s*$", text, re.MULTILINE)
    return match[1] if match else None


def _place(wanted: options.Wanted, output: Path | None) -> Path:
    """Where the image goes."""
    from hpctrain.errors import ConfigError

    if output is not None:
        place = output
    elif wanted.job and wanted.job.container and "://" not in wanted.job.container.image:
        place = Path(wanted.job.container.image).expanduser()
    else:
        place = wanted.folder / "hpctrain.sif"
    if place.is_dir():
        raise ConfigError(f"{place}: is a folder; give a file's name with --output")
    return Path(os.path.abspath(place))


def _plan(
    wanted: options.Wanted, image: Path, engine: str | None, tmp: Path | None, is_forced: bool
) -> Plan:
    from hpctrain.container import versions
    from hpctrain.container.build import Plan
    from hpctrain.container.cache import user_cache
    from hpctrain.container.engine import ENGINES, find_engine, refuse_unable
    from hpctrain.errors import ConfigError

    if engine is not None and engine not in ENGINES:
        raise ConfigError(
            f"--engine: {engine!r} builds no images here; choose from {', '.join(ENGINES)}"
        )
    if image.exists() and not is_forced:
        raise ConfigError(
            f"{image}: exists; name another place with --output, or --force replaces it"
        )
    found, sizes = find_engine(engine), versions()["sizes"]
    refuse_unable(found)
    return Plan(
        text=wanted.text,
        folder=wanted.folder,
        image=image,
        engine=found,
        cache=user_cache(),
        tmp=(tmp or Path(tempfile.gettempdir())).resolve(),
        sizes=sizes.get(wanted.device or "cpu", sizes["cpu"]),
        say=lambda line: typer.echo(line, err=True),
        is_forced=is_forced,
    )


def _with_host(
    plan: Plan, wanted: options.Wanted, binds: list[str], variables: list[str], host_pip: bool
) -> Plan:
    """The plan with what this machine lends to the build."""
    from dataclasses import replace

    from hpctrain.container.host_pip import host_pip as pip_of_host
    from hpctrain.errors import ConfigError

    own_binds, env = pip_of_host() if host_pip else ([], {})
    for word in variables:
        name, has_value, value = word.partition("=")
        if not name.isidentifier():
            raise ConfigError(f"--env: found {word!r}; allowed: NAME or NAME=VALUE")
        if not has_value and name not in os.environ:
            raise ConfigError(f"--env: {name} is not set here; give NAME=VALUE")
        env[name] = value if has_value else os.environ[name]
    all_binds = [*own_binds, *(wanted.site.container.build.binds if wanted.site else []), *binds]
    for bind in all_binds:
        if not os.path.exists(bind.partition(":")[0]):
            raise ConfigError(f"--bind: {bind.partition(':')[0]!r} is not on this machine")
    return replace(plan, binds=all_binds, env=env)


def _run(plan: Plan) -> None:
    from hpctrain.container.build import build

    began = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # the engine is not to outlive this
    try:
        build(plan)
    except KeyboardInterrupt:
        typer.echo("interrupted; finished layers are kept, and the same command goes on", err=True)
        raise typer.Exit(130) from None
    minutes, size = (time.monotonic() - began) / 60, plan.image.stat().st_size / 1e9
    typer.echo(f"{plan.image}: {size:.2f} GB in {minutes:.1f} minutes; in the job file:")
    typer.echo(f"container:\n  image: {plan.image}")
