"""`hpctrain index downloads`: the files to fetch for the results of a query."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from hpctrain.index.downloads import Plan

_CURL = "curl --fail --location --create-dirs --retry 5"
_RENAME = (
    "{ while read -r code part; do "
    '[ "$code" = 0 ] && mv -f "$part" "${part%.part}" || bad=1; done; [ -z "$bad" ]; }'
)
"""What curl tells of each file that ends; one that was cut short keeps its name in parts."""


def command(
    saved: Annotated[
        list[Path] | None,
        typer.Argument(metavar="QUERY...", help="Saved queries: .json, .ndjson, also with .gz."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="LIST", help="The list's CSV; LIST.curl beside it.")
    ] = Path("downloads.csv"),
    root: Annotated[
        Path,
        typer.Option("--root", help="Folder of the data; files that are there are left out."),
    ] = Path(),
    start: Annotated[
        str | None, typer.Option("--start", help="Ask the data service now, from this time on.")
    ] = None,
    end: Annotated[str | None, typer.Option("--end", help="Up to this time; default: now.")] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="KEY=VALUE", help="Of the query, such as vsn=W02D."),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="URL of the service; default: SAGE's.")
    ] = None,
) -> None:
    """List the pictures and thermal tables that a query of SAGE's data service found.

    Nothing is fetched: the command that does it is printed. It takes user and password from
    ~/.netrc, or from SAGE_USER and SAGE_PASSWORD; neither is in a file or in a list of processes.
    """
    from hpctrain.index.downloads import curl_text, list_text, plan_downloads

    _check(saved, start, end, filters, endpoint)
    plan = plan_downloads(_records(saved or [], start, end, filters or [], endpoint), root)
    curl = out.with_suffix(".curl")
    if not out.parent.is_dir():
        raise ConfigError(f"{out}: its folder does not exist; create it")
    for path, text in ((out, list_text(plan)), (curl, curl_text(plan))):
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    _tell(plan, out, curl, root)


def _check(
    saved: list[Path] | None,
    start: str | None,
    end: str | None,
    filters: list[str] | None,
    endpoint: str | None,
) -> None:
    if not saved and start is None:
        raise ConfigError("found no QUERY; give a saved query, or --start to ask for one now")
    for name, value in (("--end", end), ("--filter", filters), ("--endpoint", endpoint)):
        if value and start is None:
            raise ConfigError(f"{name}: has no effect without --start; give both")
    wrong = [word for word in filters or () if not all(word.partition("="))]
    if wrong:
        raise ConfigError(f"--filter: found {wrong[0]!r}; allowed: KEY=VALUE, such as vsn=W02D")


def _records(
    saved: list[Path], start: str | None, end: str | None, filters: list[str], endpoint: str | None
) -> Iterator[dict[str, Any]]:
    from hpctrain.index.downloads import query, read_records

    for path in saved:
        yield from read_records(path)
    if start is not None:
        wanted = {key: value for key, _, value in (word.partition("=") for word in filters)}
        yield from query(start, end, wanted, endpoint)


def _tell(plan: Plan, out: Path, curl: Path, root: Path) -> None:
    from hpctrain.index.downloads import hosts

    typer.echo(f"{out}: {len(plan.downloads)} files to fetch, {plan.alone} of them without twin")
    for reason, count in plan.left_out.items():
        typer.echo(f"        {count} left out: {reason}")
    if not plan.downloads:
        return
    go = f"(set -o pipefail; cd {shlex.quote(str(root.resolve()))} && {_CURL}"
    end = f"--config {shlex.quote(str(curl.resolve()))} | {_RENAME})"
    typer.echo("for bash and curl from 7.75 on; each file ends in .part until it is whole")
    typer.echo("fetch open data, or with users and passwords of ~/.netrc:")
    typer.echo(f"  {go} --netrc-optional {end}")
    machines = hosts(plan)
    if len(machines) > 1:  # none of them shall see the password of another
        typer.echo(f"the files are on {', '.join(machines)}: only ~/.netrc tells passwords apart")
        return
    login = '<(printf \'user = "%s:%s"\\n\' "$SAGE_USER" "$SAGE_PASSWORD")'
    typer.echo(f"fetch with SAGE_USER and SAGE_PASSWORD, sent to {machines[0]} alone (bash):")
    typer.echo(f"  {go} --config {login} {end}")
