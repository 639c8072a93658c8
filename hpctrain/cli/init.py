"""`hpctrain init`: a commented job file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Shipped example: mantle.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; default ./NAME.yaml.")
    ] = None,
) -> None:
    """Write a shipped job file, with comments, to start from."""
    target = out or Path(f"{name.removesuffix('.yaml')}.yaml")
    write_example(name.removesuffix(".yaml"), target)
    typer.echo(f"{target}: written; every key is explained by `hpctrain schema`")
    from hpctrain.registry import SAMPLES

    example = name.removesuffix(".yaml")
    sample = f"hpctrain sample {example} && " if example in SAMPLES else ""
    typer.echo(f"next: {sample}hpctrain render {target}")


def write_example(name: str, target: Path) -> None:
    """Copy a shipped job file.

    Raises:
        ConfigError: there is no such example, or the target exists.
    """
    from hpctrain.config.paths import find_shared, shared_dirs
    from hpctrain.errors import ConfigError, RenderError

    source = find_shared("jobs", f"{name}.yaml")
    if source is None:
        known = sorted({p.stem for d in shared_dirs("jobs") for p in d.glob("*.yaml")})
        raise ConfigError(f"init: unknown example {name!r}; choose from {', '.join(known)}")
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(source.read_text(encoding="utf-8"))
    except FileExistsError as e:
        raise ConfigError(f"{target}: exists; give another name with --out, or remove it") from e
    except OSError as e:
        raise RenderError(f"{target}: cannot be written: {e.strerror}") from e
