"""`hpctrain index windows` of a scroll's fragment, and splits of its windows by region."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from hpctrain.cli import main
from hpctrain.index.store import load_index, save_index
from hpctrain.index.table import Index, Row
from hpctrain.index.windows.place import window_of

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def scroll(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fragment of 65 layers of 128 x 256 voxels."""
    folder = tmp_path_factory.mktemp("scroll") / "s"
    with pytest.raises(SystemExit) as info:
        main(["sample", "scroll", "--size", "128,256", "--out", str(folder)])
    assert not info.value.code
    return folder / "train"


@pytest.fixture
def fragments(scroll: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one fragment, and its index."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(scroll, tmp_path / "fragments")
    with pytest.raises(SystemExit) as info:
        main(["index", "build", "fragments", "--rule", "fragment"])
    assert not info.value.code
    return tmp_path / "fragments"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*argv: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as info:
            main(["index", *map(str, argv)])
        out, err = capsys.readouterr()
        return int(info.value.code or 0), out, err

    return call


def counted(rows: Iterable[Row]) -> np.ndarray:
    """In how many of these windows each cell of the volume is."""
    found = np.zeros((65, 128, 256), np.int32)
    for row in rows:
        window = window_of(row)
        assert window is not None
        found[tuple(slice(a, a + n) for a, n in zip(*window, strict=True))] += 1
    return found


def shared(index: Index) -> int:
    """Cells that are in two splits, found cell by cell."""
    train, validation = (
        counted(row for row in index.rows if row.split == split)
        for split in ("train", "validation")
    )
    assert train.any()
    assert validation.any()
    return int(((train > 0) & (validation > 0)).sum())


def test_windows__tile_the_volume(fragments: Path, run: Run) -> None:
    code, out, err = run("windows", fragments, "--window", "13,64,64", "--out", "w.csv")
    assert (code, err) == (0, "")
    assert out == "w.csv: written; 40 samples: 40 ok; 13x64x64 cells of 1 volume\n"
    index = load_index(Path("w.csv"))
    assert (counted(index.rows) == 1).all()
    volume = load_index(fragments).rows[0]
    assert {row["layers_sha256"] for row in index.rows} == {volume["layers_sha256"]}
    assert {row.paths("mask") for row in index.rows} == {volume.paths("mask")}
    assert index.rows[-1].id == "1/z52_y64_x192"


def test_windows__are_a_table_like_any_other(fragments: Path, run: Run) -> None:
    pandas = pytest.importorskip("pandas")
    run("windows", fragments, "--window", "65,64,64", "--out", "w.csv")
    table = pandas.read_csv("w.csv")
    assert table[["z", "y", "x", "depth", "height", "width"]].iloc[-1].tolist() == [
        *(0, 64, 192),
        *(65, 64, 64),
    ]
    code, out, _ = run("verify", "w.csv")
    assert (code, out) == (0, "8 samples, 3 files compared, 67 read: all as indexed\n")
    assert "4 of 8 samples" in run("show", "w.csv", "--where", "y == 64")[1]
    (fragments / "1" / "surface_volume" / "03.tif").write_bytes(b"")
    code, out, _ = run("verify", "w.csv")
    assert code == 2
    assert out.count("surface_volume") == 1


def test_windows__what_is_in_none_is_said(fragments: Path, run: Run) -> None:
    _, out, err = run("windows", fragments, "--window", "16,120,64", "--out", "w.csv")
    assert "16 samples" in out
    assert err == (
        "note: 1: 65x128x256 cells; in no window are the last 1 of 65 along z, 8 of 128 along y\n"
    )


@pytest.mark.parametrize("step", ["65,32,32", "65,16,24"])
@pytest.mark.parametrize("by", ["region:x=128", "region:x=128,y=64"])
def test_split__windows_of_two_splits_share_no_cell(
    fragments: Path, run: Run, step: str, by: str
) -> None:
    words = ("--window", "65,64,64", "--step", step, "--out", "w.csv")
    run("windows", fragments, *words)
    code, _, err = run("split", "w.csv", "--by", by, "--validation", "1")
    assert code == 0, err
    index = load_index(Path("w.csv"))
    assert shared(index) == 0
    assert index.counts["no_split"] > 0  # those that cross a border
    again = run("windows", fragments, *words)[1]
    assert "nothing changed" in again
    assert load_index(Path("w.csv")) == index


@pytest.mark.parametrize("by", ["x", "region:x=128/1", "id"])
def test_split__windows_that_overlap_are_refused(fragments: Path, run: Run, by: str) -> None:
    run(*("windows", fragments, "--window", "65,64,64", "--step", "65,32,32", "--out", "w"))
    before = Path("w.csv").read_bytes()
    code, _, err = run("split", "w", "--by", by if by != "id" else "id:.*", "--validation", "1")
    assert code == 2
    assert "windows overlap in two splits: 1/z0_y" in err
    assert "share cells of layers; split by region:" in err
    assert Path("w.csv").read_bytes() == before


def test_split__a_copy_of_the_volume_counts_as_the_volume(fragments: Path, run: Run) -> None:
    run("windows", fragments, "--window", "65,64,64", "--out", "w")
    index = load_index(Path("w.csv"))
    first, second = index.rows[:2]
    copy = first.replace(id="copy", layers="copy/surface_volume/", split="validation")
    for row, code in ((copy, 2), (copy.replace(x=second["x"]), 0)):
        rows = [first.replace(split="train"), row]
        save_index(Index(index.root, rows, index.facts, index.columns), Path("c.csv"))
        done, _, err = run("merge", "c.csv", "c.csv", "--out", "m.csv")
        assert done == code, err


def test_merge__windows_of_a_volume_are_no_copies(fragments: Path, run: Run) -> None:
    for name, step in (("a", "65,64,64"), ("b", "65,32,64")):
        run("windows", fragments, "--window", "65,64,64", "--step", step, "--out", name)
    assert "12 samples: 12 ok" in run("merge", "a", "b", "--out", "m")[1]


def test_windows__inherit_the_split_of_their_volume(fragments: Path, run: Run) -> None:
    index = load_index(fragments)
    rows = [row.replace(split="test") for row in index.rows]
    save_index(Index(index.root, rows, index.facts, index.columns), fragments / "index.csv")
    run("windows", fragments, "--window", "65,64,64", "--out", "w")
    with Path("w.csv").open() as file:
        assert {row["split"] for row in csv.DictReader(file)} == {"test"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--window", "16,64"], "--window: found '16,64'; allowed: Z,Y,X such as 16,256,256"),
        (["--window", "16,0,64"], "--window: found '16,0,64'; allowed: whole numbers from 1 on"),
        (["--window", "1,1,1000"], "1: 65x128x256 cells; smaller than a window along x"),
        (["--window", "1,9,9", "--of", "ink"], "--of: found 'ink'; choose from layers, labels"),
        (["--window", "1,9,9", "--out", "fragments"], "is the index of the volumes"),
        (["--window", "1,9,9", "--out", "no/w.csv"], "no/w.csv: its folder does not exist"),
    ],
)
def test_windows__mistakes(fragments: Path, run: Run, words: list[str], message: str) -> None:
    words = words if "--out" in words else [*words, "--out", "w"]
    code, _, err = run("windows", "fragments", *words)
    assert code == 2
    assert message in err
    assert not Path("w.csv").exists()


def test_windows__of_files_that_have_changed_or_of_windows(fragments: Path, run: Run) -> None:
    run("windows", fragments, "--window", "65,64,64", "--out", "w")
    code, _, err = run("windows", "w", "--window", "1,8,8", "--out", "x")
    assert (code, "is an index of windows already" in err) == (2, True)
    code, _, err = run("build", fragments, "--out", "w")
    assert (code, "w.csv: lists windows of volumes; build the index" in err) == (2, True)
    (fragments / "1" / "surface_volume" / "64.tif").unlink()
    code, _, err = run("windows", fragments, "--window", "1,8,8", "--out", "x")
    assert code == 2
    assert "when indexed; build the index again" in err


def test_windows__of_a_picture_and_of_an_array(fragments: Path, run: Run) -> None:
    run("windows", fragments, "--of", "mask", "--window", "1,64,64", "--out", "w")
    assert len(load_index(Path("w.csv")).rows) == 8
    from tests.unit.cli.test_render import write_npy

    (fragments.parent / "a").mkdir()
    write_npy(fragments.parent / "a" / "v.npy", 0, (8, 6, 4))
    run("build", "a", "--modality", "v=*.npy", "--inspect", "none")
    run("windows", "a", "--window", "4,6,2", "--out", "v")
    assert [row["z"] + row["x"] for row in load_index(Path("v.csv")).rows] == [
        *("00", "02"),
        *("40", "42"),
    ]
