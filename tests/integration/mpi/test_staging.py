"""Copies on the node's disk: read by real ranks, bit-equal, reused, taken away, torn, short of room."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.integration.mpi.conftest import SmallRun, newest
from tests.requires import requires

pytestmark = requires(mpi=True, horovod=True)

PLAIN = ("train.adversary=null",)


def staged(folder: Path) -> tuple[str, ...]:
    return (*PLAIN, "data.stage=node_local", f"data.stage_dir={folder}")


def facts(run: Path) -> dict:
    return json.loads((run / "state.json").read_text())["staging"]


def left(folder: Path) -> list[str]:
    """Stages that are still there."""
    return [p.name for p in folder.glob("hpctrain-*/*/*") if p.is_dir()]


def assert_equal_bits(one: Path, other: Path) -> None:
    first, second = newest(one), newest(other)
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert value.equal(second[key]), key


def test_two_ranks__train_on_copies_bit_for_bit_and_take_them_away(
    small: SmallRun, tmp_path: Path
) -> None:
    run = small.render(small.unique("staged"), *staged(tmp_path))
    out = small.finish(run)
    assert_equal_bits(small.finished(*PLAIN), run)
    page, total = facts(run), sum(p.stat().st_size for p in (small.folder / "data").glob("*.nc"))
    assert (page["copied_bytes"], page["reused_bytes"]) == (total, 0)
    assert (page["nodes"], page["staged_nodes"], page["bytes_per_s"] > 0) == (1, 1, True)
    assert f"read from {tmp_path}/hpctrain-{os.getuid()}/" in out
    assert left(tmp_path) == []
