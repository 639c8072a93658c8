"""`hpctrain index verify`: are the files still what was indexed?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain.cli.index.place import AsJson, IndexPath, load
from hpctrain.errors import ConfigError, DataError

if TYPE_CHECKING:
    from hpctrain.index.verify import Verdict

_SHOWN = 50


def command(
    place: IndexPath,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Look at so many samples only.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Which ones: another number, others.")] = 0,
    is_changed_only: Annotated[
        bool,
        typer.Option("--changed-only", help="Read only files whose size or time have changed."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the files with their sizes and digests, in parallel; names each one that differs.

    Exit code 0: all are as they were; 2: some are not.
    """
    from hpctrain.index.verify import verify_files

    if seed and sample is None:
        raise ConfigError("--seed: draws samples, and has no effect without --sample")
    verdict = verify_files(
        load(place),
        sample=sample,
        seed=seed,
        changed_only=is_changed_only,
        progress=lambda line: typer.echo(line, err=True),
    )
    if as_json:
        _print_json(verdict)
    else:
        _print(verdict)
    if verdict.faults:
        raise typer.Exit(DataError.exit_code)


def _print(verdict: Verdict) -> None:
    for fault in verdict.faults[:_SHOWN]:
        typer.echo(f"{fault.path}: {fault.code}: {fault.text} (sample {fault.id})")
    if len(verdict.faults) > _SHOWN:
        typer.echo(f"and {len(verdict.faults) - _SHOWN} more (--json lists all)")
    touched = f", {verdict.num_touched} touched but the same" if verdict.num_touched else ""
    found = f"{len(verdict.faults)} differ" if verdict.faults else "all as indexed"
    typer.echo(
        f"{verdict.num_samples} samples, {verdict.num_files} files compared, "
        f"{verdict.num_read} read: {found}{touched}"
    )


def _print_json(verdict: Verdict) -> None:
    import json

    page = {**verdict._asdict(), "faults": [fault._asdict() for fault in verdict.faults]}
    typer.echo(json.dumps(page, indent=1))
