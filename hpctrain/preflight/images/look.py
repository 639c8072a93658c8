"""Read an image: its labels, and where they say too little, what a rank would find inside."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hpctrain.engines import Box, Engine
from hpctrain.engines.base import LIBRARY_PATH
from hpctrain.preflight.ask import SilentError, ask
from hpctrain.preflight.images.facts import ImageFacts, from_labels, from_probe
from hpctrain.shell_words import ShellText, ShellVariable

_PATIENCE_S = 120.0
"""A large image on a shared file system takes its time to start."""


@dataclass(frozen=True)
class Look:
    """What came of reading an image.

    Attributes:
        facts: None: nothing is known.
        labels: all of them.
        reason: why something could not be read; empty: it could.
    """

    facts: ImageFacts | None
    labels: Mapping[str, str]
    reason: str = ""


def read_image(
    engine: Engine,
    box: Box,
    python: str = "python3",
    comm: str = "auto",
    *,
    is_entered: bool = False,
    patience_s: float = _PATIENCE_S,
) -> Look | None:
    """Read labels, and look inside where they are not hpctrain's; None: the engine is not here.

    Args:
        engine: what starts the image.
        box: as the ranks start in it.
        python: the ranks' interpreter.
        comm: how they talk, which says whose MPI they use.
        is_entered: look inside also where labels are hpctrain's.
        patience_s: how long to wait for the inside then.

    Raises:
        SilentError: the engine did not answer for the labels.
    """
    answer = ask(engine.inspect(box.image), _PATIENCE_S)
    if answer is None:
        return None
    labels: dict[str, str] = {}
    reason = f"{engine.program}: {answer.words[-300:]}" if answer.code else ""
    if not reason:
        try:
            labels = engine.read_labels(answer.out)
        except ValueError as e:
            reason = str(e)
    facts = from_labels(labels) if "hpctrain.mpi" in labels else None
    if facts is None or is_entered:
        inside, why = _enter(engine, [python, comm], box, patience_s if facts else _PATIENCE_S)
        if inside is None:
            return Look(facts, labels, reason or why)
        facts = _merged(inside, facts)
    return Look(facts, labels)


def _enter(
    engine: Engine, program: Sequence[str], box: Box, patience_s: float
) -> tuple[ImageFacts | None, str]:
    """Facts from inside, or why there are none."""
    probe = (Path(__file__).parent / "probe.py").read_text()
    known = {str(LIBRARY_PATH): library_path(box)}
    words = [_expanded(word, known) for word in engine.command(replace(box, ranks_per_node=0))]
    python, comm = program
    command = [*words, python, "-c", probe, comm]
    try:
        answer = ask(command, patience_s, env=own_environment(engine, box))
    except SilentError as e:
        return None, str(e)
    if answer is None:
        return None, f"{engine.program} is not in PATH"
    if answer.code:
        return None, f"looking inside with {python} failed: {answer.words[-300:]}"
    try:
        page = json.loads(answer.out.splitlines()[-1])  # a site's own start-up files may speak
        return from_probe(page), ""
    except (ValueError, LookupError, TypeError):
        return None, f"looking inside with {python} gave {answer.out[:80]!r}"


def with_remedy(reason: str) -> str:
    """Why something could not be read, with what to do where that is known."""
    # Apptainer gives root's processes all rights, which a root of a container has not got itself
    if "capability set" in reason and os.geteuid() == 0:
        return f"{reason}; this root has not all rights, so call this as an ordinary user"
    return reason


def own_environment(engine: Engine, box: Box) -> dict[str, str]:
    """Variables that the engine hands on to the inside."""
    values = box.env.items() if engine.prefix else ()
    own = {f"{engine.prefix}{name}": engine.escaped(value) for name, value in values}
    if engine.prefix and box.library_path:
        own[f"{engine.prefix}LD_LIBRARY_PATH"] = library_path(box)
    return own


def library_path(box: Box) -> str:
    """Folders of the host's MPI, as this host's variables have them."""
    folders = os.path.expandvars(":".join(box.library_path)).split(":")
    return ":".join(folder for folder in folders if folder and "$" not in folder)


def _expanded(word: str, known: Mapping[str, str]) -> str:
    """As the run script would have it."""
    parts = word.parts if isinstance(word, ShellText) else (word,)
    return "".join(known.get(p, p) if isinstance(p, ShellVariable) else str(p) for p in parts)


def _merged(inside: ImageFacts, labels: ImageFacts | None) -> ImageFacts:
    """What was seen goes before what is written; what was not seen is taken from labels."""
    if labels is None:
        return inside
    unseen = {name: value for name, value in labels.page().items() if name not in inside.page()}
    return replace(inside, **unseen)
