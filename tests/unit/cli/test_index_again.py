"""An index that is built again after its data, its split, or itself changed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hpctrain.cli import main
from hpctrain.index.reasons import codes_of
from hpctrain.index.store import load_index
from tests.unit.index.sky import write_pair, write_pairs

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_pairs(tmp_path / "sky", 6)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "sky"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*argv: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as info:
            main(["index", *map(str, argv)])
        out, err = capsys.readouterr()
        return int(info.value.code or 0), out, err

    return call


def splits_of_content(place: Path) -> dict[str, str]:
    return {r["rgb_sha256"]: r.split for r in load_index(place).rows if r.status == "ok"}


def split(run: Run) -> None:
    assert run("build", "sky", "--rule", "sage")[0] == 0
    assert run("split", "sky", "--by", "id", "--validation", "3")[0] == 0


def test_build__copies_that_sort_first_take_nothing_from_the_originals(sky: Path, run: Run) -> None:
    split(run)
    before = load_index(sky)
    for number in range(6):
        write_pair(sky, number, node="A00A")  # the same content, and A00A sorts before W02D
    assert "6 duplicate" in run("build", "sky")[1]
    rows = load_index(sky).rows
    assert [row for row in rows if row["node"] == "W02D"] == list(before.rows)
    assert {row.status for row in rows if row["node"] == "A00A"} == {"bad"}
    assert "nothing changed" in run("build", "sky")[1]


def test_build__renamed_files_keep_their_split(sky: Path, run: Run) -> None:
    split(run)
    before = splits_of_content(sky)
    assert set(before.values()) == {"train", "validation"}
    for kind in ("rgb", "thermal"):
        shutil.move(sky / kind / "W02D", sky / kind / "B11B")
    write_pair(sky, 9)
    assert run("build", "sky")[0] == 0
    after = splits_of_content(sky)
    assert {key: after[key] for key in before} == before
    assert len(after) == 7


def test_build__folder_without_files_is_noticed(sky: Path, run: Run) -> None:
    for name in "ab":
        (sky / name / "layers").mkdir(parents=True)
        (sky / name / "layers" / "0.bin").write_bytes(name.encode())
    words = ("--modality", "layers=*/layers/", "--pair", "match", "--out", "layers.csv")
    assert "2 samples: 2 ok" in run("build", "sky", *words)[1]
    (sky / "c" / "layers").mkdir(parents=True)
    assert "3 samples: 2 ok, 1 bad" in run("build", "--out", "layers.csv")[1]


def test_build__altered_index_keeps_its_splits(sky: Path, run: Run) -> None:
    split(run)
    before = load_index(sky).rows
    text = (sky / "index.csv").read_text()
    (sky / "index.csv").write_text(text.replace("W02D/", "W02D/x", 1))
    code, out, err = run("build", "sky")
    assert (code, err) == (0, "sky/index.csv: altered since it was written; its splits are kept\n")
    assert "written; 6 samples: 6 ok (train 3, validation 3)" in out
    assert [row.split for row in load_index(sky).rows[1:]] == [row.split for row in before[1:]]


def test_build__index_that_is_torn_says_what_is_lost(sky: Path, run: Run) -> None:
    split(run)
    whole = {path: path.read_bytes() for path in (sky / "index.csv", sky / "index.json")}
    for path, raw in whole.items():
        path.write_bytes(raw[:-60])
        code, _, err = run("build", "sky", "--rule", "sage")
        assert code == 2, err
        assert "nothing tells which samples were trained on" in err
        assert "remove index.csv and index.json" in err
        path.write_bytes(raw)
    for path in whole:
        path.unlink()
    assert run("build", "sky", "--rule", "sage")[0] == 0


def test_merge__neither_over_an_input_nor_built_without_its_splits(sky: Path, run: Run) -> None:
    split(run)
    write_pairs(sky.parent / "west", 2, node="X")
    write_pair(sky.parent / "west", 30, node="X")
    assert run("build", "west", "--rule", "sage")[0] == 0
    code, _, err = run("merge", "sky", "west", "--out", "sky/index.csv")
    assert (code, "is one of the indexes that are merged" in err) == (2, True)
    assert run("merge", "sky", "west", "--out", "all.csv")[0] == 0
    before = Path("all.csv").read_bytes()
    code, _, err = run("build", ".", "--rule", "sage", "--out", "all.csv")
    assert (code, "so building it would drop them" in err) == (2, True)
    assert Path("all.csv").read_bytes() == before


def test_mistakes__are_refused_in_plain_words(sky: Path, run: Run) -> None:
    split(run)
    code, _, err = run("export", "sky", "lists", "--split", "nosuch")
    assert (code, "no sample is in nosuch; the index has train, validation" in err) == (2, True)
    assert not Path("lists").exists()
    code, _, err = run("build", "sky", "--rule", "sage", "--timestamp", "name:(")
    assert (code, "timestamp: found" in err, "function-after" in err) == (2, True, False)
    assert codes_of("unreadable: rgb: a; b: c; nan: rgb") == ["unreadable", "nan"]
