"""The input files of a run, and their data card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from hpctrain.errors import DataError
from hpctrain.provenance.run import read_manifest
from hpctrain.trace.beside import BesideFile, files_beside_index
from hpctrain.trace.card import read_card
from hpctrain.trace.inputs import differences, read_inputs
from hpctrain.trace.link import Link, Verdict

_MOST = 10


def input_links(run_dir: Path, has_content: bool, tell: Callable[[str], None]) -> Iterator[Link]:
    """The input files, those that the index does not list, and the data card of their folder."""
    with suppress(OSError):
        config = (run_dir / "config.yaml").read_bytes()
        for file in files_beside_index(config, read_manifest(run_dir), has_content):
            yield _beside_link(file)
    try:
        texts = [(run_dir / name).read_text() for name in ("index.csv", "index.json")]
        inputs = read_inputs(texts[0], texts[1])
    except (OSError, UnicodeDecodeError, DataError) as e:
        yield Link("inputs", "unknown", "unknown", str(e))
        return
    found = differences(inputs, has_content, tell)
    num_bytes = sum(file.size for file in inputs.files)
    text = f"{len(inputs.files)} files, {_size(num_bytes)}"
    details = tuple(f"{what}: {name}" for name, what in found[:_MOST])
    if len(found) > _MOST:
        details += (f"and {len(found) - _MOST} more",)
    verdict: Verdict = "same"
    if found:
        is_gone = all(what.startswith("missing") for _, what in found)
        verdict = "missing" if is_gone and len(found) == len(inputs.files) else "changed"
        text += f", {len(found)} not as indexed"
    yield Link("inputs", str(inputs.root), verdict, text, "", details)
    card = read_card(inputs.root)
    if card is not None:
        details = tuple(
            f"{key}: {value}"
            for key, value in (("source", card.source), ("licence", card.licence))
            if value
        )
        yield Link("data card", card.path.name, "", card.title, card.digest, details)


def _beside_link(file: BesideFile) -> Link:
    if file.size is None:
        text = "the manifest has no digest of it"
        return Link(file.key, str(file.path), "unknown", text)
    verdict: Verdict = "same"
    if file.difference:
        verdict = "missing" if file.difference.startswith("missing") else "changed"
    details = (file.difference,) if file.difference else ()
    return Link(file.key, str(file.path), verdict, _size(file.size), file.sha256, details)


def _size(num_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} TB"
