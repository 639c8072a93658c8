"""A run's pictures through its encoders: the same vectors as by hand, begun anew, refused."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hpctrain.cli.app import app
from hpctrain.data.pairs import PairDataset
from hpctrain.embed.command import embed
from hpctrain.embed.options import Options
from hpctrain.embed.setup import open_pairs
from hpctrain.embed.store import Store
from hpctrain.embed.thumbs import make_thumbs
from hpctrain.embed.work import Work
from hpctrain.embed.writer import Writer
from hpctrain.errors import CheckpointError, ConfigError
from hpctrain.index import read_index
from hpctrain.provenance.files import read
from tests.unit.data.pairs.builders import whole_share
from tests.unit.embed.run import expanders, make_run, networks, save_checkpoint
from tests.unit.embed.stores import full_store

COUNT = 11


def by_hand(run: Path, epoch: int) -> dict[str, np.ndarray]:
    """Picture by picture through the networks of a checkpoint."""
    _, pairs = open_pairs(run)
    dataset = PairDataset(pairs, read_index(run), "all", 0, is_augmented=False)
    crops = dataset.read_batch(whole_share(dataset)).crops
    found = {}
    with torch.no_grad():
        for name, network in networks(epoch).items():
            pictures = crops[name.removeprefix("backbone_")][0]
            found[name[9:]] = torch.cat([network(p[None]) for p in pictures]).numpy()
    return found


def expanded(run: Path, epoch: int) -> dict[str, np.ndarray]:
    """The same behind the expanders."""
    own, nets = by_hand(run, epoch), expanders(epoch)
    with torch.no_grad():
        return {m: nets[f"expander_{m}"](torch.from_numpy(x)).numpy() for m, x in own.items()}


def test_stores__hold_what_the_encoders_say_of_all_pairs(sky: Path) -> None:
    options = Options(checkpoints=("state_1.pt", "state_2.pt"), batch_size=4, thumbs=5)
    lines = embed(sky, options)
    assert lines is not None
    assert [f"{COUNT} pairs in" in line for line in lines] == [True, True]
    for epoch in (1, 2):
        store = Store.open(sky / "embeddings" / f"state_{epoch}")
        for name, expected in by_hand(sky, epoch).items():
            np.testing.assert_allclose(store.branch(name)[:], expected, rtol=1e-4, atol=1e-5)
        for name, expected in expanded(sky, epoch).items():
            behind = store.branch(f"{name}_expanded")[:]
            np.testing.assert_allclose(behind, expected, rtol=1e-4, atol=1e-5)
        assert store.table.column("id") == [f"W02D/{i}" for i in range(COUNT)]
        assert store.table.columns == (
            *("id", "split", "rgb", "thermal", "timestamp", "node", "position", "sky"),
        )
        assert store.facts["global_step"] == 10 * epoch
        stamp = read(store.path("ir")).stamp
        assert (stamp.product, stamp.checkpoint) == ("embedding", f"state_{epoch}.pt")
    shown, thumbs = store.shown(), store.thumbs("rgb")
    assert thumbs is not None
    assert len(shown) == len(thumbs) == 5
    _, pairs = open_pairs(sky)
    dataset = PairDataset(pairs, read_index(sky), "all", 0, is_augmented=False)
    crops = dataset.read_batch(whole_share(dataset)).crops["rgb"][0]
    np.testing.assert_array_equal(thumbs, make_thumbs(crops[torch.from_numpy(shown)]))
    (line,) = embed(sky, Options(checkpoints=("state_2.pt",), batch_size=4, thumbs=5)) or []
    assert "all 11 pairs were there" in line


def test_going_on__embeds_only_what_is_missing(sky: Path, tmp_path: Path, monkeypatch) -> None:
    out, seen = tmp_path / "store", []
    plain = Options(out=out, batch_size=2, thumbs=0)
    write = Writer.write

    def fails_at_third(self, start, rows) -> None:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(start)
        write(self, start, rows)

    monkeypatch.setattr(Writer, "write", fails_at_third)
    with pytest.raises(KeyboardInterrupt):
        embed(sky, plain)
    monkeypatch.undo()
    encode, again = Work.encode, []
    monkeypatch.setattr(
        Work, "encode", lambda self, batch: again.append(batch.ids) or encode(self, batch)
    )
    (line,) = embed(sky, plain) or []
    done = Store.open(out)
    assert not done.missing
    assert sum(map(len, again)) < COUNT
    assert f"{COUNT - sum(map(len, again))} were there" in line
    for name, expected in by_hand(sky, 2).items():
        np.testing.assert_allclose(done.branch(name)[:], expected, rtol=1e-4, atol=1e-5)


def test_another_checkpoint__does_not_mix_with_what_is_there(sky: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    embed(sky, Options(out=out, checkpoints=("state_1.pt",)))
    with pytest.raises(ConfigError, match="holds embeddings of something else"):
        embed(sky, Options(out=out, checkpoints=("state_2.pt",)))
    embed(sky, Options(out=out, checkpoints=("state_2.pt",), overwrite=True, dtype="float16"))
    store = Store.open(out)
    assert store.facts["checkpoint"] == "state_2.pt"
    assert store.branch("rgb").dtype == np.float16
    expected = by_hand(sky, 2)["rgb"]
    np.testing.assert_allclose(store.branch("rgb")[:], expected, rtol=2e-3, atol=1e-3)


def test_another_run__leaves_the_store_that_it_does_not_fit(sky: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    embed(sky, Options(out=out))
    own = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ConfigError, match="holds embeddings of something else"):
        embed(make_run(tmp_path / "other", 4), Options(out=out))
    assert {path.name: path.read_bytes() for path in out.iterdir()} == own
    Store.open(out).check_rows()


def test_other_thumbnails__of_rows_that_are_done_are_refused(sky: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    embed(sky, Options(out=out, thumbs=5))
    embed(sky, Options(out=out, thumbs=5))
    for thumbs in (0, 3):
        match = rf"thumbnails of 5 pairs, and {thumbs} are asked.*--overwrite"
        with pytest.raises(ConfigError, match=match):
            embed(sky, Options(out=out, thumbs=thumbs))
    embed(sky, Options(out=out, thumbs=3, overwrite=True))
    thumbs = Store.open(out).thumbs("rgb")
    assert thumbs is not None
    assert thumbs.any(axis=(1, 2, 3)).tolist() == [True] * 3


def test_teacher__goes_before_student(tmp_path: Path) -> None:
    run = make_run(tmp_path, 4, epochs=())
    own, other = networks(3), networks(4)
    models = {f"teacher_{n[9:]}": net.state_dict() for n, net in own.items()}
    models |= {f"student_{n[9:]}": net.state_dict() for n, net in other.items()}
    save_checkpoint(run, 3, models=models)
    embed(run, Options(thumbs=0))
    store = Store.open(run / "embeddings" / "state_3")
    for name, expected in by_hand(run, 3).items():
        np.testing.assert_allclose(store.branch(name)[:], expected, rtol=1e-4, atol=1e-5)
    save_checkpoint(run, 4, models={"generator": {}})
    with pytest.raises(CheckpointError, match="has no encoder of rgb; it holds generator"):
        embed(run, Options(checkpoints=("state_4.pt",)))


def test_options__that_do_not_go_together_are_refused(sky: Path, tmp_path: Path) -> None:
    two = ("state_1.pt", "state_2.pt")
    with pytest.raises(ConfigError, match="--out: is one store"):
        embed(sky, Options(out=tmp_path, checkpoints=two))
    with pytest.raises(CheckpointError, match="choose from state_1.pt, state_2.pt"):
        embed(sky, Options(checkpoints=("state_7.pt",)))
    with pytest.raises(CheckpointError, match="train with train.ema"):
        embed(sky, Options(out=tmp_path / "store", weights="ema"))


def test_commands__embed_and_evaluate_a_run(tmp_path: Path) -> None:
    run, runner = make_run(tmp_path, 12, epochs=(1, 2)), CliRunner()
    for options in (["--checkpoint", "state_1.pt"], ["--scale", "2"]):
        found = runner.invoke(app, ["embed", str(run), *options, "--batch-size", "5"])
        assert found.exit_code == 0, found.output
        assert "12 pairs in" in found.output
    larger = Store.open(run / "embeddings" / "state_2_x2")
    assert larger.facts["sizes"] == {"rgb": [240, 320], "ir": [120, 160]}
    words = ["--folds", "2", "--neighbours", "3", "--attention", "2"]
    found = runner.invoke(app, ["evaluate", str(run), *words])
    assert found.exit_code == 0, found.output
    folder = run / "eval" / "embeddings"
    page = (folder / "state_2_x2" / "index.html").read_text()
    assert "http" not in re.sub(r"data:image/png;base64,[^\"]*", "", page)
    assert (folder / "state_2_x2" / "tiles" / "ir_000.jpg").is_file()
    numbers = json.loads((folder / "state_2_x2" / "numbers.json").read_text())
    assert numbers["rows"] == 12
    assert list(numbers["classes"]) == ["sky"]
    with (folder / "state_2_x2" / "numbers.csv").open(newline="") as file:
        lines = dict(csv.reader(file))
    assert float(lines["spread.ir.effective_rank"]) == numbers["spread"]["ir"]["effective_rank"]
    with np.load(folder / "state_2_x2" / "attention.npz") as maps:
        assert maps["ir/heads"].shape == (2, 3, 10, 14)
        assert maps["rgb/rollout"].shape == (2, 20, 27)
    names = ("index.html", "numbers.json", "numbers.csv", "retrieval.svg", "attention_rgb.png")
    for path in (*(folder / "state_2_x2" / name for name in names), folder / "evolution.png"):
        stamp = read(path)
        assert (stamp.stamp.checkpoint, stamp.is_intact) == ("state_2.pt", True)
    with (folder / "evolution.csv").open(newline="") as file:
        steps = [line["global_step"] for line in csv.DictReader(file)]
    assert steps == ["10", "20"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["evaluate", "STORE", "--members", "2"],
            "--members: evaluations of embeddings have no use",
        ),
        (["evaluate", "STORE", "--column", "id"], "id has 70 different texts; allowed: up to 64"),
        (["evaluate", "STORE", "--column", "sun"], "no column 'sun' in the store; choose from id"),
        (["evaluate", "RUN"], "holds no embeddings; make them first with: hpctrain embed"),
        (
            ["embed", "RUN", "--dtype", "int8"],
            "--dtype: found 'int8'; choose from float32, float16",
        ),
    ],
)
def test_commands__say_what_does_not_fit(tmp_path: Path, words: list[str], text: str) -> None:
    full_store(tmp_path / "store", {"rgb": np.eye(70, 4), "ir": np.eye(70, 4)})
    places = {"STORE": str(tmp_path / "store"), "RUN": str(make_run(tmp_path, 3, ()))}
    found = CliRunner().invoke(app, [places.get(word, word) for word in words])
    assert isinstance(found.exception, ConfigError)
    assert text in str(found.exception)
