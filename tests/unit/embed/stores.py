"""Small stores of generated embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpctrain.embed.store import Store
from hpctrain.embed.table import write_rows
from hpctrain.embed.writer import Writer, finish, make_store
from hpctrain.provenance import Stamp


def empty_store(
    folder: Path, num_rows: int, dims: Mapping[str, int], dtype: Any = "float32", **facts: Any
) -> Store:
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder, ["id", "node"], ([f"s{i}", f"W{i % 3}"] for i in range(num_rows)))
    return make_store(folder, num_rows, dims, dtype, facts)


def full_store(
    folder: Path,
    branches: Mapping[str, np.ndarray],
    columns: Mapping[str, Sequence[str]] | None = None,
    **facts: Any,
) -> Store:
    count = len(next(iter(branches.values())))
    folder.mkdir(parents=True, exist_ok=True)
    cells = {"id": [f"s{i}" for i in range(count)], **(columns or {})}
    write_rows(folder, list(cells), zip(*cells.values(), strict=True))
    dims = {name: own.shape[1] for name, own in branches.items()}
    store = make_store(folder, count, dims, "float32", facts)
    with Writer(store, 0) as writer:
        writer.write(0, branches)
    return finish(store, Stamp("embedding"))
