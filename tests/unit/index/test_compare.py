"""Indexes compared, joined, verified, and written as lists."""

import os
import shutil

import pytest

from hpctrain.errors import DataError
from hpctrain.index.diff import diff_indexes
from hpctrain.index.merge import merge_indexes
from hpctrain.index.seed_layout import write_lists
from hpctrain.index.split import split_index
from hpctrain.index.verify import verify_files
from tests.requires import SHARED_DATA, requires

from .sky import NS, built, jpeg, table, write_pair, write_pairs

RECIPE = {"by": ["hour"], "parts": {"validation": "1"}, "seed": 0, "stratify": None}


def kinds(changes):
    return sorted({change.kind for change in changes})


def test_diff__each_kind(tmp_path):
    old = built(write_pairs(tmp_path, 4))
    assert diff_indexes(old, old) == []
    write_pair(tmp_path, 4)
    rgb, thermal = write_pair(tmp_path, 0)
    rgb.write_bytes(jpeg(99))
    thermal.unlink()
    for path in write_pair(tmp_path, 1):
        path.unlink()
    moved = write_pair(tmp_path, 2)
    for path in moved:
        (path.parents[1] / "W99X").mkdir()
        path.rename(path.parents[1] / "W99X" / path.name)
    new = split_index(built(tmp_path), RECIPE, {})
    changes = diff_indexes(old, new)
    assert kinds(changes) == ["added", "content", "moved", "other", "removed", "split", "status"]
    of = {(c.kind, c.id): c.text for c in changes}
    assert of["moved", f"W99X/{NS + 2 * 3_600_000_000_000}"].startswith("was W02D/")
    assert of["status", f"W02D/{NS}"] == "ok is now bad (missing-twin: no thermal)"


def test_merge__paths_become_relative_to_the_common_folder(tmp_path):
    a = built(write_pairs(tmp_path / "a", 2, node="A"))
    write_pair(tmp_path / "b", 5, node="B")
    b = built(tmp_path / "b")
    merged = merge_indexes([a, b], ["a.csv", "b.csv"])
    assert merged.root == tmp_path
    assert all((tmp_path / row["rgb"]).is_file() for row in merged.rows)
    assert len(merged.rows) == 3
    assert verify_files(merged).faults == []
    assert [p["digest"] for p in merged.facts["merged"]] == [a.digest, b.digest]
    assert merge_indexes([a, a], ["x", "y"]).rows == tuple(a.rows)


def test_merge__conflicts_are_refused(tmp_path):
    a = built(write_pairs(tmp_path / "a", 2))
    b = built(write_pairs(tmp_path / "b", 2))
    with pytest.raises(DataError, match=r"conflict: W02D/\d+: another rgb, .* in a.csv and b.csv"):
        merge_indexes([a, b], ["a.csv", "b.csv"])
    c = built(write_pairs(tmp_path / "c", 2, node="C"))
    trained = split_index(a, RECIPE, {})
    others = split_index(c, {**RECIPE, "seed": 0}, {})
    swapped = [
        row.replace(split={"train": "validation"}.get(row.split, "train")) for row in others.rows
    ]
    from dataclasses import replace

    with pytest.raises(DataError, match="equal content in two splits"):
        merge_indexes([trained, replace(others, rows=swapped)], ["a", "c"])
    plain = built(tmp_path / "a", None, modalities={"rgb": {"files": "rgb/*/*.jpg"}})
    with pytest.raises(DataError, match="merge indexes of the same modalities"):
        merge_indexes([a, plain], ["a", "p"])


def test_verify__names_each_fault(tmp_path):
    index = built(write_pairs(tmp_path, 6))
    assert verify_files(index)[:4] == ([], 6, 12, 12)
    paths = [write_pair(tmp_path, n) for n in range(6)]
    for n, row in enumerate(index.rows):  # as they were
        for path, name in zip(paths[n], ("rgb", "thermal"), strict=True):
            os.utime(path, ns=(1, int(row[f"{name}_mtime"])))
    paths[0][0].unlink()
    paths[1][1].write_text(table(1) + "x")
    raw = paths[2][0].read_bytes()
    paths[2][0].write_bytes(raw[:-3] + b"\0\xff\xd9")
    os.utime(paths[2][0], ns=(1, int(index.rows[2]["rgb_mtime"])))  # hides the change
    os.utime(paths[3][0])
    found = verify_files(index)
    assert [(f.id, f.code) for f in found.faults] == [
        (index.rows[0].id, "missing"), (index.rows[1].id, "size"), (index.rows[2].id, "content"),
    ]  # fmt: skip
    assert (found.num_read, found.num_touched) == (10, 1)
    changed = verify_files(index, changed_only=True)
    assert [f.code for f in changed.faults] == ["missing", "size"]
    assert changed.num_read == 1


def test_verify__samples_are_drawn_by_the_seed(tmp_path):
    index = built(write_pairs(tmp_path, 9))
    assert verify_files(index, sample=4).num_files == 8
    (tmp_path / index.rows[3]["rgb"]).unlink()
    hits = [bool(verify_files(index, sample=3, seed=seed).faults) for seed in range(12)]
    assert hits == [bool(verify_files(index, sample=3, seed=seed).faults) for seed in range(12)]
    assert set(hits) == {True, False}


def test_verify__a_stack_is_read_whole(tmp_path):
    for i in range(3):
        (tmp_path / "1/surface_volume").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"1/surface_volume/{i:02d}.tif").write_text(f"layer {i}")
    (tmp_path / "1/mask.png").write_text("m")
    index = built(tmp_path, "fragment", inspect="none")
    assert verify_files(index)[:4] == ([], 1, 2, 4)
    (tmp_path / "1/surface_volume/01.tif").write_text("layer X")
    assert [f.code for f in verify_files(index).faults] == ["content"]
    (tmp_path / "1/surface_volume/01.tif").unlink()
    assert [f.code for f in verify_files(index).faults] == ["size"]


def test_verify__root_that_is_gone(tmp_path):
    index = built(write_pairs(tmp_path / "data", 1))
    shutil.rmtree(tmp_path / "data")
    with pytest.raises(DataError, match="root is no folder here"):
        verify_files(index)


def lists(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.txt")}


def test_lists__come_back_byte_for_byte(tmp_path):
    root = tmp_path / "train"
    names = []
    for number in range(5):
        rgb, thermal = write_pair(root, number)
        names.append(
            [str(rgb.relative_to(root / "rgb")), str(thermal.relative_to(root / "thermal"))]
        )
    texts = {
        "pairs/W02D/zebra.txt": "{}\n{}\n",
        "pairs/W02D/alpha 1.txt": "{}\n{}",
        "pairs/W07B/dos.txt": "{}\r\n{}\r\n",
        "bad_pairs/W02D/x.txt": "  {}\n\n{} \n# why\n",
        "pairs/deep/er/gone.txt": "{}\nno such file.csv\n",
    }
    for (path, text), pair in zip(texts.items(), names, strict=True):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text.format(*pair).encode())
    index = built(root, "sage", pair="listed")
    assert write_lists(index, tmp_path / "out") == 5
    assert lists(tmp_path / "out") == lists(root)
    assert {row.id: row.reason for row in index.rows if row.reason} == {
        "bad_pairs/W02D/x": "listed-bad", "deep/er/gone": "missing-twin: no thermal",
    }  # fmt: skip
    assert [row["node"] for row in index.rows][-1] == "W02D"
    again = built(root, "sage", pair="listed")
    assert again.csv_text == index.csv_text


def test_lists__of_an_index_that_was_scanned(tmp_path):
    root = write_pairs(tmp_path / "data", 2)
    write_pair(root, 2, position="1", thermal_position="2")
    write_pair(root, 3)[0].unlink()
    index = built(root)
    assert write_lists(index, root) == 3
    listed = built(root, "sage", pair="listed")
    assert [row.status for row in listed.rows] == ["ok", "ok", "bad"]
    assert {(r["rgb"], r["thermal"]) for r in listed.rows} == {
        (r["rgb"], r["thermal"]) for r in index.rows if r["rgb"] and r["thermal"]
    }
    next(root.glob("pairs/W02D/*.txt")).write_text("mine\n")
    with pytest.raises(DataError, match="nothing was written"):
        write_lists(index, root)


@requires(shared_data=True)
def test_real__lists_come_back_byte_for_byte(tmp_path):
    root = SHARED_DATA / "sage" / "recovered"
    write_lists(built(root, "sage", pair="listed"), tmp_path)
    assert lists(tmp_path) == lists(root)


def test_merge__keeps_rule_and_recipe_and_marks_copies(tmp_path):
    a = built(write_pairs(tmp_path / "a", 4, node="A"))
    write_pair(tmp_path / "b", 3, node="B")
    write_pair(tmp_path / "b", 7, node="B")
    b = built(tmp_path / "b")
    merged = merge_indexes([a, b], ["a", "b"])
    assert merged.facts["rule"] == a.facts["rule"]
    copy = f"A/{NS + 3 * 3_600_000_000_000}"
    assert [r.reason for r in merged.rows if r.status == "bad"] == [
        f"duplicate: rgb: same content as {copy}"
    ]
    split = split_index(a, RECIPE, {})
    assert merge_indexes([split, split], ["a", "a"]).facts["split"] == RECIPE
    assert "split" not in merge_indexes([split, b], ["a", "b"]).facts
    other = built(tmp_path / "b", "sage", inspect="none", missing_position="bad")
    members = {"rgb": {"members": "*"}, "thermal": {"members": "*"}}
    assert merge_indexes([a, other], ["a", "b"]).facts["rule"] == {"modalities": members}
