"""A run's pictures through its encoders: the same vectors as by hand, begun anew, refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from hpctrain.cli.app import app
from hpctrain.config.load import read_resolved
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
from tests.unit.embed.run import make_run, networks, save_checkpoint

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


def test_stores__hold_what_the_encoders_say_of_all_pairs(sky: Path) -> None:
    options = Options(checkpoints=("state_1.pt", "state_2.pt"), batch_size=4, thumbs=5)
    lines = embed(sky, options)
    assert lines is not None
    assert [f"{COUNT} pairs in" in line for line in lines] == [True, True]
    for epoch in (1, 2):
        store = Store.open(sky / "embeddings" / f"state_{epoch}")
        for name, expected in by_hand(sky, epoch).items():
            np.testing.assert_allclose(store.branch(name)[:], expected, rtol=1e-4, atol=1e-5)
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


def test_command__embeds_and_evaluates(sky: Path, tmp_path: Path) -> None:
    runner, out = CliRunner(), tmp_path / "store"
    found = runner.invoke(app, ["embed", str(sky), "--out", str(out), "--batch-size", "5"])
    assert found.exit_code == 0, found.output
    assert f"wrote {out}: 11 pairs" in found.output
    found = runner.invoke(app, ["evaluate", str(out), "--folds", "2", "--neighbours", "3"])
    assert found.exit_code == 0, found.output
    numbers = json.loads((out / "evaluation" / "numbers.json").read_text())
    assert numbers["rows"] == COUNT
    assert (out / "evaluation" / "tiles" / "rgb_000.jpg").is_file()
    assert read_resolved(sky / "config.yaml").data.kind == "pairs"
    found = runner.invoke(app, ["evaluate", str(out), "--members", "2"])
    assert isinstance(found.exception, ConfigError)
    assert "--members: has no effect where embeddings are evaluated" in str(found.exception)
