"""Classes of the user's own code that a job names: there, and with the options they are given.

The files are parsed and never imported, so that a misspelt option is found without torch, on the
login node.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hpctrain.config.finding import Finding, error
from hpctrain.config.job import Job
from hpctrain.config.norms import OPTIONS


class _Use(NamedTuple):
    """One class that a job names."""

    key: str
    name: str
    options: dict[str, Any]
    given: int
    """Arguments that the training gives by position."""
    others: tuple[str, ...] = ()
    """Arguments that it may give by name."""


def own_code_findings(job: Job, cwd: Path) -> Iterator[Finding]:
    """Compare what the job gives with what the classes take.

    Args:
        job: the job.
        cwd: folder that relative folders under `code:` start from.
    """
    folders = [cwd / Path(folder).expanduser() for folder in job.code]
    for use in _uses(job):
        module, _, name = use.name.rpartition(".")
        path = _find(folders, module)
        if path is None:  # perhaps an installed package; the training looks
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError) as e:
            yield error(use.key, f"{path}: cannot be read: {e}")
            continue
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        if name in classes:
            yield from _compare(use, classes[name])
        elif not _is_imported(tree, name):
            text = f"{use.name}: {path} has no class {name!r}{_nearest(name, list(classes))}"
            yield error(use.key, text)


def _uses(job: Job) -> Iterator[_Use]:
    generator = getattr(job.train, "generator", None)
    if generator is not None and "." in generator.kind:
        options = getattr(generator, "options", {})
        yield _Use("train.generator", generator.kind, options, 2, ("upscale_factor",))
    adversary = getattr(job.train, "adversary", None)
    critic = adversary.discriminator if adversary else None
    if critic is not None and "." in critic.kind:
        options = getattr(critic, "options", {})
        yield _Use("train.adversary.discriminator", critic.kind, options, 1)
    for key in ("input_norms", "target_norms"):
        for i, norm in enumerate(getattr(job.data, key, ())):
            if norm.kind not in OPTIONS:
                yield _Use(f"data.{key}.{i}", norm.kind, norm.options, 0)


def _find(folders: list[Path], module: str) -> Path | None:
    inner = Path(*module.split("."))
    names = (inner.with_suffix(".py"), inner / "__init__.py")
    return next((f / n for f in folders for n in names if (f / n).is_file()), None)


def _compare(use: _Use, found: ast.ClassDef) -> Iterator[Finding]:
    methods = (node for node in found.body if isinstance(node, ast.FunctionDef))
    init = next((node for node in methods if node.name == "__init__"), None)
    if init is None:  # that of a base class, which may be anywhere
        return
    positional = [a.arg for a in (*init.args.posonlyargs, *init.args.args)][1:]
    named = [*positional[use.given :], *(a.arg for a in init.args.kwonlyargs)]
    for key in use.options:
        if key not in named:
            known = f"takes {', '.join(named)}" if named else "takes no options"
            hint = _nearest(key, named)
            yield error(f"{use.key}.options", f"{found.name} takes no {key!r}; it {known}{hint}")
    required = positional[use.given : len(positional) - len(init.args.defaults)]
    required += [
        a.arg
        for a, default in zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True)
        if default is None
    ]
    missing = [name for name in required if name not in use.options and name not in use.others]
    if missing:
        yield error(f"{use.key}.options", f"{found.name} needs {', '.join(missing)}; add it")


def _is_imported(tree: ast.Module, name: str) -> bool:
    """Whether a module has the name from elsewhere."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.asname or alias.name for alias in node.names}
            if names & {name, "*"}:
                return True
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.If | ast.Try):
            return True  # made in a way that only running the module shows
    return False


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""
