"""Export a run as a Workflow Run RO-Crate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpctrain import run_state
from hpctrain.crate.beside import beside_members
from hpctrain.crate.content import Member, collect, input_members
from hpctrain.crate.facts import Author, Facts
from hpctrain.crate.metadata import describe
from hpctrain.crate.pack import write_folder, write_zip
from hpctrain.crate.readme import readme
from hpctrain.errors import ConfigError
from hpctrain.provenance.run import launches_of, read_manifest
from hpctrain.render.existing import differences
from hpctrain.trace.beside import files_beside_index
from hpctrain.trace.card import read_card
from hpctrain.trace.inputs import Inputs, read_inputs

NO_LICENCE = "not specified: ask whoever made this before using it"


@dataclass(frozen=True)
class Options:
    """What a crate is to hold and say.

    Attributes:
        has_data: take the input files in.
        checkpoints: `all`, `last` or `none`.
        licence: URL or text; None: says that there is none.
        author: who is to be named.
    """

    has_data: bool = False
    checkpoints: str = "last"
    licence: str | None = None
    author: Author | None = None


def export(
    run_dir: Path, out: Path, options: Options, tell: Callable[[str], None] = lambda line: None
) -> list[Member]:
    """Write the crate of a run: a zip file if `out` ends so, else a folder.

    The same run directory and options give the same bytes.

    Args:
        run_dir: the run directory, which is not changed.
        out: file or folder; must not exist.
        options: what goes in.
        tell: takes remarks.

    Returns:
        The files that went in.

    Raises:
        ConfigError: it is no run directory, or rocrate is not installed.
        DataError: input files are to go in and are not those of the index.
        RenderError: the crate cannot be written.
    """
    state = run_state.read(run_dir)
    if state.verdict() in run_state.ACTIVE:
        tell("note: the run is still going on; the crate holds what is there now")
    members = collect(run_dir, options.checkpoints)
    if options.checkpoints != "none" and not any(m.kind == "checkpoint" for m in members):
        tell("note: the run has no checkpoint, so the crate has none")
    inputs = _inputs(run_dir)
    data = input_members(inputs) if options.has_data else []
    manifest = read_manifest(run_dir)
    if not launches_of(manifest):
        tell("note: the run has not started; the crate describes the job, and no run of it")
    for difference in differences(run_dir):
        if difference.what != "added" or difference.path.startswith("code/"):
            tell(f"note: {difference.what} by hand since it was rendered: {difference.path}")
    config = run_dir / "config.yaml"
    content = config.read_bytes() if config.is_file() else b""
    beside = tuple(files_beside_index(content, manifest, options.has_data))
    names = {m.name for m in data}
    taken = [m for m in beside_members(beside) if m.name not in names] if options.has_data else []
    for file in () if options.has_data else beside:
        tell(f"note: {file.key}: {file.path}: is not in the crate; hand it over with the data")
    facts = Facts(
        run_dir=run_dir,
        manifest=manifest,
        state=state.fields,
        members=tuple(members),
        inputs=inputs,
        data=tuple(data),
        beside=beside,
        taken=tuple(taken),
        card=read_card(inputs.root),
        licence=options.licence or NO_LICENCE,
        author=options.author,
    )
    page = readme(facts)
    texts = {"ro-crate-metadata.json": describe(facts, page), "README.md": page}
    write = write_zip if out.suffix == ".zip" else write_folder
    write(texts, [*members, *data, *taken], out)
    return [*members, *data, *taken]


def _inputs(run_dir: Path) -> Inputs:
    try:
        texts = [(run_dir / name).read_text() for name in ("index.csv", "index.json")]
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{run_dir}: its index cannot be read ({e}); render it again") from e
    return read_inputs(texts[0], texts[1])
