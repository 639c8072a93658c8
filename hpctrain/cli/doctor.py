"""`hpctrain doctor`: what this machine is and can do, on one page."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain.cli.job import Overrides, SiteName, load, site_named
from hpctrain.cli.run_dir import RUNS
from hpctrain.errors import ConfigError, LaunchError

if TYPE_CHECKING:
    from hpctrain.doctor.examine import Patient
    from hpctrain.doctor.topic import Topic


def command(
    job: Annotated[
        str | None,
        typer.Option(
            "--job",
            metavar="JOB",
            help="Job file, its name in jobs/, or a run directory: start ranks as it would.",
        ),
    ] = None,
    site: SiteName = None,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of all run directories.")] = RUNS,
    limit: Annotated[
        int, typer.Option("--limit", min=5, metavar="SECONDS", help="How long the ranks may take.")
    ] = 120,
    json_file: Annotated[
        str | None,
        typer.Option(
            "--json", metavar="FILE", help="Write all of it as JSON, for a ticket; - prints it."
        ),
    ] = None,
) -> None:
    """Examine this machine: versions, MPI, GPUs, speeds, folders, limits.

    Starts two ranks or more, by the launcher, to see that they find each other. On a login node, on
    a machine of one's own, or inside a job, whose nodes it takes. Nothing is
    trained and nothing queued; it takes a minute. Exit code 0: there may be warnings; 5: there are
    errors, each with what to do.
    """
    from hpctrain.doctor.examine import examine

    _refuse_folder(json_file)
    patient = _patient(job, site, overrides or [], out, limit)
    with _ended_whole():
        topics = examine(patient, _say)
    counts = _tell(topics, json_file)
    if counts["error"]:
        raise typer.Exit(LaunchError.exit_code)


@contextmanager
def _ended_whole() -> Iterator[None]:
    """Let what ends the doctor end its ranks, too, and remove its folder."""

    def interrupt(*_: object) -> None:
        for number in usual:  # cleaning up takes seconds, and a second one must not end that
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    # nohup ignores HUP, and that is to stay
    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
    usual = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal may be gone
            typer.echo("interrupted; the ranks were ended, and nothing is written", err=True)
        raise typer.Exit(130) from None
    finally:
        for number, own in usual.items():
            signal.signal(number, own)


def _refuse_folder(json_file: str | None) -> None:
    """Before a minute is spent, see that the file can be there."""
    if json_file in (None, "-"):
        return
    path = Path(str(json_file))
    if not json_file or path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() and json_file else "lies in no folder that is there"
        raise ConfigError(f"--json: {json_file!r} {what}; name a file, or - for standard output")


def _patient(
    job: str | None, site: str | None, overrides: list[str], out: Path, limit: int
) -> Patient:
    from hpctrain.doctor.examine import Patient
    from hpctrain.doctor.place import find_allocation

    python, allocation = os.path.abspath(sys.executable), find_allocation()
    if job is None:
        if overrides:
            raise ConfigError("--set has no effect without a job; add --job JOB, or leave it out")
        return Patient(None, site_named(site), allocation, python, out, limit)
    run_dir = _run_dir(job, out)
    if run_dir is None:
        resolved = load(job, overrides, site)
        return Patient(resolved.job, resolved.site, allocation, python, out, limit)
    if overrides or site:
        raise ConfigError(
            f"{run_dir}: --set and --site have no effect on a run that is rendered; give the job "
            "file, or leave them out"
        )
    return _of_run(run_dir, python, limit)


def _run_dir(name: str, out: Path) -> Path | None:
    """The run directory that is meant; a bare name means a job file, if there is one."""
    from hpctrain import run_state
    from hpctrain.config.load import find_job

    if run_state.is_run(Path(name)):
        return Path(name)
    try:
        find_job(name, Path.cwd())
    except ConfigError:
        if name and run_state.is_run(out / name):
            return out / name
        raise
    return None


def _of_run(run_dir: Path, python: str, limit: int) -> Patient:
    from hpctrain.config.load import read_resolved, read_site
    from hpctrain.doctor.examine import Patient
    from hpctrain.doctor.place import find_allocation
    from hpctrain.render.existing import manifest

    inputs = manifest(run_dir).get("inputs")
    recorded = inputs.get("python") if isinstance(inputs, dict) else None
    machine, _ = read_site(str(run_dir / "site.yaml"))
    job = read_resolved(run_dir / "config.yaml")
    return Patient(job, machine, find_allocation(), str(recorded or python), run_dir.parent, limit)


def _say(what: str) -> None:
    """What is done at the moment, for a person who waits."""
    if sys.stderr.isatty():
        typer.echo(f"{what} ...", err=True)


def _tell(topics: list[Topic], json_file: str | None) -> dict[str, int]:
    """Print the page and write its twin; how many lines of each kind there are."""
    from datetime import datetime, timezone

    from rich.console import Console

    from hpctrain.doctor.secret import Masker
    from hpctrain.doctor.ticket import in_words, print_page, summary, ticket, write_ticket

    masker, counts = Masker(os.environ), summary(topics)
    time = datetime.now(timezone.utc).isoformat(timespec="seconds")
    if json_file == "-":
        typer.echo(json.dumps(ticket(topics, time, masker), indent=1))
        return counts
    console = (
        Console(highlight=False) if sys.stdout.isatty() else Console(width=120, highlight=False)
    )
    print_page(topics, console, masker)
    typer.echo(f"{in_words(topics)}; {counts['ok']} things in order; {time}")
    if json_file is not None:
        write_ticket(ticket(topics, time, masker), Path(json_file))
        typer.echo(f"{json_file}: written; nothing secret is in it, read it before you attach it")
    return counts
