"""The store: disjoint ranges of several processes, resuming, blocks, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hpctrain.embed.ranges import merged, missing, share_of
from hpctrain.embed.store import JOURNALS, Store
from hpctrain.embed.table import Table, write_rows
from hpctrain.embed.writer import Writer, finish, make_store, make_thumbs
from hpctrain.errors import ConfigError, DataError
from hpctrain.provenance import Stamp
from hpctrain.provenance.files import read
from tests.unit.embed.stores import empty_store, full_store

DIMS = {"rgb": 5, "ir": 3}
RANK = """
import sys
from pathlib import Path
import numpy as np
from hpctrain.embed.ranges import share_of
from hpctrain.embed.store import Store
from hpctrain.embed.table import Table, write_rows
from hpctrain.embed.writer import Writer
store, rank = Store.open(Path(sys.argv[1])), int(sys.argv[2])
everything = {n: np.load(f"{sys.argv[1]}/../{n}.npy") for n in store.dims}
with Writer(store, rank) as writer:
    for start, stop in share_of(store.to_do, rank, 2, 4):
        writer.write(start, {n: x[start:stop] for n, x in everything.items()})
"""


def rows(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {n: draw.standard_normal((count, d)).astype(np.float32) for n, d in DIMS.items()}


def test_ranks__write_disjoint_rows_and_go_on_where_some_are_done(tmp_path: Path) -> None:
    everything = rows(37)
    for name, own in everything.items():
        np.save(tmp_path / f"{name}.npy", own)
    store = empty_store(tmp_path / "store", 37, DIMS)
    with Writer(store, 0) as writer:
        writer.write(9, {n: x[9:14] for n, x in everything.items()})
    assert store.missing == [(0, 9), (14, 37)]
    store = make_store(store.folder, 37, DIMS, "float32", {})  # begins again, with two ranks
    assert store.done == [(9, 14)]
    assert not (store.folder / JOURNALS).exists()
    with pytest.raises(DataError, match="32 of 37 rows are not embedded yet"):
        store.check_complete()
    words = [sys.executable, "-c", RANK, str(store.folder)]
    ranks = [subprocess.Popen([*words, str(rank)]) for rank in range(2)]
    assert [rank.wait() for rank in ranks] == [0, 0]
    store = finish(store, Stamp("embedding", checkpoint="epoch_3.pt"))
    for name, own in everything.items():
        np.testing.assert_array_equal(store.branch(name)[:], own)
        np.testing.assert_array_equal(np.load(store.path(name)), own)
        np.testing.assert_array_equal(np.concatenate(list(store.branch(name).blocks(8))), own)
        np.testing.assert_array_equal(store.branch(name)[np.array([30, 2])], own[[30, 2]])
        assert read(store.path(name)).stamp.checkpoint == "epoch_3.pt"
        assert read(store.path(name)).is_intact


def test_to_do__does_not_change_while_another_rank_writes(tmp_path: Path) -> None:
    store = empty_store(tmp_path, 10, DIMS)
    with Writer(store, 0) as writer:
        writer.write(2, rows(3))
        assert Store.open(tmp_path).to_do == [(0, 10)]
        assert Store.open(tmp_path).missing == [(0, 2), (5, 10)]


def test_journal__a_torn_line_does_not_count(tmp_path: Path) -> None:
    store = empty_store(tmp_path, 10, DIMS)
    (tmp_path / JOURNALS).mkdir()
    (tmp_path / JOURNALS / "0-1-0.txt").write_text("0 4\n4 1")
    assert store.done == [(0, 4)]


def test_reading__needs_no_torch(tmp_path: Path) -> None:
    full_store(tmp_path, rows(6))
    code = (
        "import sys; from pathlib import Path; from hpctrain.embed.store import Store;"
        f"Store.open(Path({str(tmp_path)!r})).branch('ir')[:2]; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_float16__refuses_what_does_not_fit(tmp_path: Path) -> None:
    store = empty_store(tmp_path, 4, DIMS, "float16")
    own = rows(4)
    own["ir"][2, 1] = 1e6
    with (
        pytest.raises(DataError, match=r"of s2 \(row 2\) is not finite in float16.*float32"),
        Writer(store, 0) as writer,
    ):
        writer.write(0, own)
    assert store.missing == [(0, 4)]


def test_make__refuses_a_store_of_another_checkpoint(tmp_path: Path) -> None:
    empty_store(tmp_path, 4, DIMS, checkpoint_digest="a")
    with pytest.raises(ConfigError, match="facts differ"):
        empty_store(tmp_path, 4, DIMS, checkpoint_digest="b")


def test_thumbs__lie_at_their_rows(tmp_path: Path) -> None:
    store = empty_store(tmp_path, 10, DIMS)
    make_thumbs(store, np.array([1, 4, 8]), {"rgb": (2, 3, 3), "ir": (2, 3, 1)})
    with Writer(store, 0) as writer:
        assert writer.thumb_rows(3, 9).tolist() == [1, 5]
        for name, channels in (("rgb", 3), ("ir", 1)):
            picture = np.arange(2, dtype=np.uint8)[:, None, None, None] + 7
            writer.write_thumbs(3, {name: np.broadcast_to(picture, (2, 2, 3, channels))})
    thumbs = store.thumbs("rgb")
    assert thumbs is not None
    assert thumbs[:, 0, 0, 0].tolist() == [0, 7, 8]


def test_thumbs__of_others_are_made_anew_while_no_row_is_done(tmp_path: Path) -> None:
    store, shape = empty_store(tmp_path, 10, DIMS), {"rgb": (2, 3, 3)}
    make_thumbs(store, np.array([1, 4, 8]), shape)
    make_thumbs(store, np.array([2, 9]), shape)
    assert store.shown().tolist() == [2, 9]
    assert np.load(store.path("rgb_thumbs")).shape == (2, 2, 3, 3)
    make_thumbs(store, np.array([], np.int64), shape)
    assert store.thumbs("rgb") is None
    assert not len(store.shown())


def test_rows__of_another_table_are_refused(tmp_path: Path) -> None:
    store = full_store(tmp_path, rows(3))
    store.check_rows()
    table = tmp_path / "rows.csv"
    table.write_text(table.read_text().replace("s1", "s7"))
    with pytest.raises(DataError, match=r"is not the table whose rows were embedded"):
        store.check_rows()
    table.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        store.check_rows()


def test_table__gives_columns_as_codes(tmp_path: Path) -> None:
    store = empty_store(tmp_path, 7, DIMS)
    codes, values = store.table.codes("node")
    assert values == ("W0", "W1", "W2")
    assert codes.tolist() == [0, 1, 2, 0, 1, 2, 0]
    with pytest.raises(DataError, match="no column 'weather'; choose from id, node"):
        store.table.column("weather")
    write_rows(tmp_path, ["id", "position"], [["a", "10"], ["b", "9"], ["c", ""], ["d", "10"]])
    codes, values = Table(tmp_path / "rows.csv").codes("position")
    assert (values, codes.tolist()) == (("9", "10"), [1, 0, -1, 1])


@pytest.mark.parametrize("content", ["", "[1]", '{"num_rows": 3}'])
def test_open__tells_what_is_no_store(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        Store.open(tmp_path)
    (tmp_path / "store.json").write_text(content)
    with pytest.raises(DataError, match="no page of a store"):
        Store.open(tmp_path)


def test_branch__tells_a_torn_file(tmp_path: Path) -> None:
    store = full_store(tmp_path, rows(6))
    content = store.path("ir").read_bytes()
    store.path("ir").write_bytes(content[:-3])
    with pytest.raises(DataError, match="torn"):
        store.branch("ir")


def test_ranges__each_row_is_one_ranks(tmp_path: Path) -> None:
    assert merged([(5, 7), (0, 2), (2, 3), (6, 9), (4, 4)]) == [(0, 3), (5, 9)]
    left = missing([(5, 7), (0, 2)], 12)
    assert left == [(2, 5), (7, 12)]
    for size in (1, 2, 5):
        for world in (1, 2, 3, 5):
            parts = [p for r in range(world) for p in share_of(left, r, world, size)]
            assert merged(parts) == left
            assert sum(b - a for a, b in parts) == 8
