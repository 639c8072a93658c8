"""Rules and splits that would do nothing say so: nodes on a flat layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from hpctrain.cli import main
from tests.unit.index.sky import write_pair, write_pairs

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def call(*argv: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as info:
            main([str(word) for word in argv])
        out, err = capsys.readouterr()
        return int(info.value.code or 0), out, err

    return call


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """Pairs as they are uploaded, without folders of nodes."""
    write_pairs(tmp_path / "sky", 6)
    for kind in ("rgb", "thermal"):
        for path in (tmp_path / "sky" / kind).glob("*/*"):
            path.rename(tmp_path / "sky" / kind / path.name)
        for folder in (tmp_path / "sky" / kind).glob("*/"):
            folder.rmdir()
    return tmp_path / "sky"


def rule(**more: object) -> str:
    """The rule sage with more keys, as a file."""
    from hpctrain.config.read_rule import read_rule

    page = read_rule("sage", {}, None).model_dump(mode="json", exclude_defaults=True)
    Path("rule.yaml").write_text(yaml.safe_dump({**page, **more}))
    return "rule.yaml"


def test_exclude__on_a_flat_layout(flat: Path, run: Run) -> None:
    words = ("index", "build", "sky", "--rule", rule(exclude=[{"node": "ANL"}]))
    code, out, err = run(*words)
    assert (code, "6 samples: 6 ok" in out) == (0, True)
    assert err.startswith("warning: exclude: no sample has a node (by `node: folder` none of them")
    assert "excluding 'ANL' does nothing" in err
    assert "hpctrain index import ROOT" in err
    assert "warning" not in out
    assert run("index", "build", "sky")[2] == err  # of a build that changes nothing, too


def test_exclude__of_another_node(tmp_path: Path, run: Run) -> None:
    write_pairs(tmp_path / "sky", 2)
    exclude = [{"node": "ANL", "after": "2023-07-04"}, {"node": "W02D", "after": "2099-01-01"}]
    _, _, err = run("index", "build", "sky", "--rule", rule(exclude=exclude))
    assert err == (
        "warning: exclude: no sample is of node 'ANL', so it excludes nothing; the nodes are W02D\n"
    )


@pytest.mark.parametrize("words", [["--by", "node"], ["--by", "day", "--by", "node"]])
def test_split__by_nodes_that_no_sample_has(flat: Path, run: Run, words: list[str]) -> None:
    run("index", "build", "sky", "--rule", "sage")
    before = (flat / "index.csv").read_bytes()
    code, _, err = run("index", "split", "sky", *words, "--validation", "1")
    assert code == 2
    assert "--by node: no usable sample has a node (it comes from a folder a node" in err
    words = ["--by", "hour", "--stratify", "node"]
    code, _, err = run("index", "split", "sky", *words, "--validation", "1")
    assert (code, "--stratify node: no usable sample has a node" in err) == (2, True)
    assert (flat / "index.csv").read_bytes() == before


def test_split__by_nodes_that_some_samples_have(flat: Path, run: Run) -> None:
    write_pair(flat, 6)
    run("index", "build", "sky", "--rule", "sage")
    code, _, err = run("index", "split", "sky", "--by", "node", "--validation", "1")
    assert (code, err) == (
        0,
        "warning: --by node: 6 of 7 usable samples have no node, and count as one group\n",
    )
