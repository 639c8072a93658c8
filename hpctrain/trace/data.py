"""The input files of a run, and their data card."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from hpctrain.errors import DataError
from hpctrain.trace.beside import files_beside_index
from hpctrain.trace.card import read_card
from hpctrain.trace.inputs import differences, read_inputs
from hpctrain.trace.link import Link, Verdict

_MOST = 10


def input_links(run_dir: Path, has_content: bool, tell: Callable[[str], None]) -> Iterator[Link]:
    """The input files, those that the index does not list, and the data card of their folder."""
    with suppress(OSError):
        for key, path in files_beside_index((run_dir / "config.yaml").read_bytes()):
            verdict: Verdict = "unknown" if path.is_file() else "missing"
            yield Link(key, str(path), verdict, "not in the index: its digest was not taken")
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
    verdict = "same"
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


def _size(num_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{num_bytes:.3g} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} TB"
