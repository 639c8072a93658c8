"""`hpctrain index build`: scan a folder, pair its files, find bad ones."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpctrain.cli.index.place import counted, reasons, summary
from hpctrain.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpctrain.config.index_rule import Rule
    from hpctrain.index import Index
    from hpctrain.index.pairing.judge import Settled

_WARNING = "warning: "


def command(
    root: Annotated[
        Path | None,
        typer.Argument(metavar="ROOT", help="Folder of the data; left out: that of the index."),
    ] = None,
    rule: Annotated[
        str | None, typer.Option("--rule", help="How files are paired: a YAML file, or a name.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="INDEX", help="The index's CSV; default: ROOT/index.csv."),
    ] = None,
    modalities: Annotated[
        list[str] | None,
        typer.Option("--modality", metavar="NAME=PATTERN", help="Files of one part of a sample."),
    ] = None,
    pair: Annotated[
        str | None,
        typer.Option(
            "--pair", help="timestamp, stem, number, order, match, regex or listed (see the page)."
        ),
    ] = None,
    node: Annotated[
        str | None, typer.Option("--node", help="Where the node stands, such as folder.")
    ] = None,
    timestamp: Annotated[
        str | None, typer.Option("--timestamp", help="Where the time stands, such as auto.")
    ] = None,
    position: Annotated[
        str | None,
        typer.Option("--position", help="Where the position stands: name:REGEX or path:REGEX."),
    ] = None,
    inspect: Annotated[
        str | None,
        typer.Option("--inspect", help="none; quick: look at the bytes; full: decode all files."),
    ] = None,
    is_move: Annotated[
        bool, typer.Option("--move-bad", help="Move files of bad samples to ROOT/bad_pairs/.")
    ] = False,
    is_restore: Annotated[
        bool, typer.Option("--restore-bad", help="Move them back to where they were.")
    ] = False,
) -> None:
    """Index the samples below a folder; a later build reads only what is new or changed.

    The index keeps its rule, so that building it again needs only its name. Bad samples keep their
    row with a reason. Interrupted at any moment, the old index stays as it was.
    """
    options = {"pair": pair, "node": node, "timestamp": timestamp, "position": position}
    options = {k: v for k, v in {**options, "inspect": inspect}.items() if v is not None}
    values: dict[str, Any] = {**options}
    if modalities:
        values["modalities"] = _modalities(modalities)
    if is_move and is_restore:
        raise ConfigError("--move-bad and --restore-bad undo each other; give one of them")
    run_build(root, rule, out, values, is_move=is_move, is_restore=is_restore)


def run_build(
    root: Path | None,
    rule_name: str | None,
    out: Path | None,
    values: dict[str, Any],
    *,
    is_move: bool = False,
    is_restore: bool = False,
) -> None:
    """Build, write and tell.

    Args:
        root: folder of the data; None: that of the index at `out`.
        rule_name: rule; None: that of the index, or what `values` say.
        out: the index; None: in the root.
        values: keys of the rule from the command line.
        is_move: move files of bad samples away afterwards.
        is_restore: move them back before.
    """
    from hpctrain.index.no_collections import without_collections

    place, root, page = _places(root, out)
    rule = _rule(rule_name, values, page)
    if is_restore:
        _restore(root)
    without_collections(_build_and_tell)(root, rule, place, page, is_move)


def _build_and_tell(
    root: Path, rule: Rule, place: Path, page: dict[str, Any] | None, is_move: bool
) -> None:
    from hpctrain.index.advice import rule_warnings
    from hpctrain.index.last_build import remember
    from hpctrain.index.store import digests_of, save_index

    index, inputs = _built(root, rule, place, page, has_shortcut=not is_move)
    if index is None:
        _tell(_told(place, root, inputs))
        return
    if is_move and _move(index):
        index, inputs = _built(root, rule, place, page, has_shortcut=False)
        assert index is not None  # noqa: S101 - it was asked for
    is_new = save_index(index, place)
    warnings = (f"{_WARNING}{text}" for text in rule_warnings(index, rule))
    lines = [summary(index), *reasons(index), *warnings]
    if inputs:
        remember(root, place, inputs, {"files": digests_of(place), "lines": lines})
    _tell([f"{place}: {'written' if is_new else 'nothing changed'}; {lines[0]}", *lines[1:]])


def _tell(lines: Sequence[str]) -> None:
    for line in lines:
        typer.echo(line, err=line.startswith(_WARNING))


def _told(place: Path, root: Path, inputs: str) -> list[str]:
    """What was printed after the build that left the index as it still is."""
    from hpctrain.index.last_build import recall

    page = recall(root, place, inputs) or {"lines": [""]}
    return [f"{place}: nothing changed; {page['lines'][0]}", *page["lines"][1:]]


def _places(root: Path | None, out: Path | None) -> tuple[Path, Path, dict[str, Any] | None]:
    """The index, the root, and the page of an index that is there."""
    from hpctrain.index.store import index_paths, load_altered, load_page

    if root is None and out is None:
        raise ConfigError("found no ROOT; give the folder of the data, or --out with an index")
    if root is not None and root.is_file():
        raise ConfigError(
            f"{root}: is a file; ROOT is the folder of the data; to build an index again: "
            f"hpctrain index build --out {root}"
        )
    place = index_paths(out if out is not None else Path(str(root)) / "index.csv")[0]
    page = load_page(place)
    if page is None and all(path.is_file() for path in index_paths(place)):
        load_altered(place)  # says what is lost
    if page is not None and "windows" in page:
        raise ConfigError(
            f"{place}: lists windows of volumes; build the index of the volumes again, and "
            f"make the windows anew with: hpctrain index windows INDEX --window Z,Y,X --out {place}"
        )
    if root is None:
        if page is None:
            raise ConfigError(f"{place}: no index yet; give ROOT, the folder of the data")
        root = Path(page["root"])
    if out is not None and not place.parent.is_dir():
        raise ConfigError(f"{place}: its folder does not exist; create it")
    return place, root.expanduser().resolve(), page


def _rule(name: str | None, values: dict[str, Any], page: dict[str, Any] | None) -> Rule:
    from hpctrain.config.read_rule import read_rule, rule_names

    base = None
    if name is None and "modalities" not in values:
        base = (page or {}).get("rule")
        parts = base.get("modalities", {}) if isinstance(base, dict) else {}
        if not parts or not all("files" in part for part in parts.values()):
            raise ConfigError(
                f"--rule: how are files paired? choose from {', '.join(rule_names())}, give a YAML "
                "file, or a --modality NAME=PATTERN for each part of a sample"
            )
    return read_rule(name, values, base)


def _built(
    root: Path, rule: Rule, place: Path, page: dict[str, Any] | None, *, has_shortcut: bool
) -> tuple[Index | None, str]:
    """A new index; its splits are those of the old one, new groups get theirs by its recipe.

    None where the index at `place` came of the very same inputs, and is still as it was written.
    """
    from hpctrain.index.build import build_index
    from hpctrain.index.last_build import recall
    from hpctrain.index.split import kept_places, settled_files, split_index
    from hpctrain.index.store import digests_of, index_paths, load_altered, load_index
    from hpctrain.registry import INSPECT

    def is_known(inputs: str) -> bool:
        last = recall(root, place, inputs) if has_shortcut else None
        return last is not None and last.get("files") == digests_of(place)

    recipe = (page or {}).get("split")
    if not recipe:
        _refuse_to_drop_splits(place, page or {})

    @functools.cache
    def old() -> Index:
        try:
            return load_index(place)
        except DataError:
            found = load_altered(place)
        typer.echo(f"{place}: altered since it was written; its splits are kept", err=True)
        return found

    @functools.cache
    def settled() -> Settled:
        return settled_files(old()) if recipe else frozenset()

    paths = [path.resolve() for path in index_paths(place)]
    own = frozenset(p.relative_to(root).as_posix() for p in paths if p.is_relative_to(root))
    index, inputs = build_index(
        root,
        rule,
        own=own,
        inspect=INSPECT,
        is_known=is_known,
        settled=settled,
        progress=lambda line: typer.echo(line, err=True),
    )
    if index is not None and recipe:
        index = split_index(index, recipe, kept_places(old(), index, recipe["by"]))
    return index, inputs


def _refuse_to_drop_splits(place: Path, page: dict[str, Any]) -> None:
    """Splits without a recipe, as of indexes that were merged, cannot be made again."""
    counts = page.get("counts", {})
    splits = set(counts) - {"rows", "no_split", "left_out", "bad"}
    if any(counts[name] for name in splits):
        raise ConfigError(
            f"{place}: has splits, but no recipe by which new samples would get theirs (it was "
            "merged, or frozen for a run), so building it would drop them; give another --out, or "
            "divide it first with: hpctrain index split"
        )


def _modalities(words: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in words:
        name, equals, pattern = word.partition("=")
        if not equals or not pattern:
            raise ConfigError(
                f"--modality: found {word!r}; allowed: NAME=PATTERN, such as rgb='rgb/*.jpg'"
            )
        found.setdefault(name, {"files": []})["files"].append(pattern)
    return found


def _move(index: Index) -> int:
    from hpctrain.index.quarantine import move_bad

    num = move_bad(index)
    typer.echo(f"{counted(num, 'file')} of bad samples moved to {index.root}/bad_pairs/")
    return num


def _restore(root: Path) -> None:
    from hpctrain.index.quarantine import restore_bad

    typer.echo(f"{counted(restore_bad(root), 'file')} moved back from {root}/bad_pairs/")
