"""Places to bind at, which some engines do not make."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from hpctrain.config.binds import parse
from hpctrain.config.finding import Finding, error
from hpctrain.engines import Engine

_SHOWN = ("/dev", "/proc", "/sys", "/tmp", "/home")  # noqa: S108 - what ch-run binds by itself


def target_findings(engine: Engine, image: str, binds: Sequence[str]) -> Iterator[Finding]:
    """Charliecloud binds at folders that are there; looked at where the image is a folder."""
    if engine.program != "ch-run" or not os.path.isdir(image):
        return
    for target in dict.fromkeys(parse(text).target for text in binds):
        is_shown = any(target == own or target.startswith(f"{own}/") for own in _SHOWN)
        if not is_shown and not os.path.exists(f"{image}{target}"):
            text = f"{image} has no {target}, and ch-run binds at places that are there"
            yield error("container.binds", f"{text}: mkdir -p {image}{target}")
