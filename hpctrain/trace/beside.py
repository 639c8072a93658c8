"""Files that a run reads and that its index does not list, compared with its manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hpctrain.index.beside import named_files, place_of, recorded
from hpctrain.trace.inputs import InputFile, Inputs, differences


@dataclass(frozen=True)
class BesideFile:
    """One of them.

    Attributes:
        key: what of the job names it, such as `data.styles`.
        name: as the job names it.
        path: where it is.
        size: as it was when the job was rendered; None: the manifest does not say.
        sha256: likewise; empty: the manifest does not say.
        difference: what is not as it was then; empty if nothing is, or nobody knows.
    """

    key: str
    name: str
    path: Path
    size: int | None = None
    sha256: str = ""
    difference: str = ""


def files_beside_index(
    config: bytes, manifest: Mapping[str, Any], has_content: bool = False
) -> Iterator[BesideFile]:
    """Each such file that a config.yaml names; none where it cannot be read.

    Args:
        config: content of config.yaml.
        manifest: with the digests.
        has_content: read the files, even if size and time of change are as they were.
    """
    try:
        page = yaml.safe_load(config)
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    data = page.get("data") if isinstance(page, dict) else None
    root = Path(str(data.get("root") or "")) if isinstance(data, dict) else Path()
    known = recorded(manifest)
    for key, name in named_files(page).items():
        path = place_of(name, root)
        if key not in known:
            yield BesideFile(key, name, path)
            continue
        size, sha256 = known[key].size, known[key].sha256
        if path.exists() and not path.is_file():  # a device may never end
            yield BesideFile(key, name, path, size, sha256, "changed: is no file")
            continue
        file = InputFile(str(path), size, sha256, known[key].mtime_ns)
        found = differences(Inputs(root, (file,), 0), has_content)
        what = found[0][1] if found else ""
        yield BesideFile(key, name, path, size, sha256, what)
