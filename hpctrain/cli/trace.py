"""`hpctrain trace`: from a product back to its inputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpctrain.cli.run_dir import RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpctrain.trace import Chain, Link

_WORDS = {"same": "same", "changed": "CHANGED", "missing": "MISSING", "unknown": "?", "": ""}


def command(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Checkpoint, figure, report or other product, or a run directory."
        ),
    ],
    run: Annotated[
        Path | None, typer.Option("--run", help="Where the run directory lies now.")
    ] = None,
    digests: Annotated[
        bool,
        typer.Option("--digests", help="Read input files, checkpoint and image, not only sizes."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Say what a file was made from, back to the input files, and what of it changed since.

    The file may be a copy anywhere. Exit code 0: all of it was compared and is as it was. Exit
    code 2: something changed, is missing, or could not be compared.
    """
    from hpctrain.trace import trace

    named = RUNS / file
    path = named if not file.exists() and named.is_dir() else file
    chain = trace(path, run, digests, lambda line: typer.echo(line, err=True))
    if as_json:
        typer.echo(json.dumps(chain.as_dict(), indent=1))
    else:
        typer.echo("\n".join(_lines(chain)))
    if not chain.is_unchanged:
        raise typer.Exit(2)


def _lines(chain: Chain) -> Iterator[str]:
    for link in chain.links:
        yield from _link_lines(link)
    yield ""
    if chain.problem:
        yield plain(chain.problem)
    bad = [link.kind for link in chain.links if link.verdict in ("changed", "missing")]
    if bad:
        yield f"not as it was: {', '.join(dict.fromkeys(bad))}"
    open_ones = [link.kind for link in chain.links if link.verdict == "unknown"]
    if open_ones:
        yield f"not compared: {', '.join(dict.fromkeys(open_ones))}"
    elif not bad and not chain.problem:
        yield "all of it is as it was"


def _link_lines(link: Link) -> Iterator[str]:
    verdict = _WORDS[link.verdict]
    yield f"{link.kind:12}  {verdict:7}  {plain(link.name)}".rstrip()
    digest = f"sha256 {link.digest[:16]}" if link.digest else ""
    about = ", ".join(part for part in (link.text, digest) if part)
    for line in (about, *link.details):
        if line:
            yield f"{'':23}{plain(line)}"


def plain(text: str) -> str:
    """Text from a file of anybody, with nothing in it that a terminal obeys."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
