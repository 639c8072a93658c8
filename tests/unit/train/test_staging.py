"""Which files a node copies, and what ranks tell each other meanwhile."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from hpctrain.comm import Ranks as SingleRank
from hpctrain.comm.single import SingleCommunicator
from hpctrain.data import DividedSampler
from hpctrain.data.sampler import stream
from hpctrain.errors import DataError, TrainError
from hpctrain.index import Index, Row
from hpctrain.staging import Outcome, Progress, Source, Stage
from hpctrain.staging import copying as copying_module
from hpctrain.train import staging
from hpctrain.train.faults.stages import Stages
from tests.jobs import mantle

FILES, ANCHORS = 10, 3


def index() -> Index:
    rows = [
        Row.make(id=str(i), split="train", target=f"t{i}|u{i}", input=f"i{i}") for i in range(FILES)
    ]
    rows += [Row.make(id=str(FILES + i), split="validation", target=f"v{i}") for i in range(2)]
    return Index(Path("/data"), tuple(rows), {})


def job(*settings: str):
    return mantle("local", "train.global_batch_size=8", *settings).job


def test_global_order__a_node_reads_everything():
    assert len(staging._read_here(job(), index(), [0], 4)) == FILES + 2


def test_files_dealt_anew_in_each_epoch__a_node_reads_everything():
    divided = job("data.order={kind: divided, parts: 4, deal: each_epoch}")
    assert len(staging._read_here(divided, index(), [0], 4)) == FILES + 2


@pytest.mark.parametrize(("parts", "world_size"), [(4, 4), (8, 4), (4, 8), (4, 2), (2, 8), (1, 4)])
@pytest.mark.parametrize("per_node", [1, 2])
def test_divided__the_files_of_a_node_are_those_that_its_ranks_read(parts, world_size, per_node):
    divided = job(f"data.order={{kind: divided, parts: {parts}, shuffle_distance: 2}}")
    sampler = DividedSampler(FILES * ANCHORS, 8, 0, divided.data.order, ANCHORS)
    for first in range(0, world_size, per_node):
        ranks = range(first, first + per_node)
        rows = staging._read_here(divided, index(), ranks, world_size)
        copied = {int(row.id) for row in rows if row.split == "train"}
        read = {
            i // ANCHORS
            for rank in ranks
            for own in stream(sampler, rank, world_size, epochs=30)
            for i in own.ids
        }
        assert read <= copied
        assert len(copied) <= len(read) + 1, "no more than the samples need"
        assert [row.id for row in rows if row.split == "validation"] == ["10", "11"]


def test_sources__every_file_once_with_its_facts():
    cells = {"target_size": "1|2", "target_sha256": "a|b", "target_mtime": "5|6"}
    row = Row.make(id="0", split="train", target="t|u", **cells)
    own = [(s.name, s.size, s.sha256, s.mtime_ns) for s in staging._sources([row, row])]
    assert own == [("t", 1, "a", 5), ("u", 2, "b", 6)]


class Ranks:
    """Two nodes of one rank each, in one process: the other's words are given."""

    rank = 0

    def __init__(self, *others: dict) -> None:
        self._others = list(others)

    def allgather_object(self, page):
        other = self._others.pop(0) if len(self._others) > 1 else self._others[0]
        return [page, {"stop": "", **other}]


def page(**changes) -> dict:
    outcome = {"root": "/local/files", "num_bytes": 10, "seconds": 1.0}
    done = {"done": 10, "of": 10, "error": "", "is_data": False, "outcome": outcome}
    return {**done, **changes}


def copying(**changes):
    return SimpleNamespace(told=lambda: page(**changes))


def wait(comm, own, stop=None):
    state = SimpleNamespace(update=lambda **_: None)
    stages = SimpleNamespace(enter=entered.append)
    entered.clear()
    return staging._wait(comm, own, stages, state, stop or Stop())


class Stop:
    """What this rank was asked, look by look."""

    reason = ""

    def __init__(self, *reasons: str) -> None:
        self._reasons = list(reasons)

    def look(self) -> str:
        return self._reasons.pop(0) if self._reasons else ""


entered: list[str] = []


def test_wait__until_all_nodes_are_done_telling_the_watchdog_each_time():
    told = wait(Ranks(page(outcome=None), page(outcome=None), page()), copying())
    assert told == [page(stop=""), page(stop="")]
    assert entered == ["staging"] * 3 + ["start"]


@pytest.mark.parametrize(("is_data", "kind"), [(True, DataError), (False, TrainError)])
def test_wait__what_fails_on_one_node_fails_on_all(is_data, kind):
    with pytest.raises(kind, match="rank 1: /data/x: is gone"):
        wait(Ranks(page(error="/data/x: is gone", is_data=is_data, outcome=None)), copying())


@pytest.mark.parametrize("rank", [0, 1])
def test_wait__who_is_asked_to_stop_tells_all(rank):
    """The other rank copies nothing, and hears a signal; or it hears nothing."""
    stop = Stop("", "the file STOP") if rank == 0 else Stop()
    others = [{}, {"stop": "the file STOP"}] if rank == 1 else [{}]
    assert wait(Ranks(*others), copying(outcome=None), stop) is None
    assert stop.reason == "the file STOP"
    assert entered == ["staging"] * 2


def test_stop__ends_copying_in_its_midst_and_keeps_what_is_whole(tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    files = []
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
        digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        files.append(Source(name, 1000, digest, 0))
    begun, add = threading.Event(), Progress.add

    def held(self, count):
        add(self, count)
        if self.num_files:
            begun.set()
            assert wait_for(lambda: self.is_cancelled)

    monkeypatch.setattr(Progress, "add", held)
    monkeypatch.setattr(copying_module, "_THREADS", 1)
    monkeypatch.setattr(staging, "_sources", lambda _: iter(files))
    settings = job("data.stage=node_local", f"data.stage_dir={tmp_path / 'scratch'}")
    run = SimpleNamespace(
        job=settings, read_index=lambda: replace(index(), root=tmp_path), path=tmp_path / "run"
    )
    comm = SingleCommunicator(SingleRank(0, 1, 0, 1, "a"), torch.device("cpu"))

    class Later(Stop):
        def look(self) -> str:
            return "signal USR1" if begun.is_set() else ""

    told: dict = {}
    own = run, comm, ["a"], Stages(), SimpleNamespace(update=lambda **f: told.update(f))
    staged = staging.stage_data(*own, Later())
    assert staged.is_stopped
    assert told["stop_reason"] == "signal USR1"
    staged.close(is_kept=True)
    monkeypatch.setattr(Progress, "add", add)
    (tmp_path / "a").write_bytes(b"")
    again = Stage(str(tmp_path / "scratch"), "a", tmp_path, index().digest, run.path)
    assert again.fill(files[:1]).reused_bytes == 1000, "the first is taken from the stage"
    assert again.leave()


def wait_for(condition) -> bool:
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def test_say__nodes_with_the_same_reason_are_named_together(caplog):
    told = {}
    outcomes = {
        "a": Outcome("/local/files", 10**9, 10**9, 2, 2.0),
        "b": Outcome(reason="no room"),
        "c": Outcome(reason="no room"),
    }
    staging._say(outcomes, Path("/data"), SimpleNamespace(update=lambda **f: told.update(f)))
    page = told["staging"]
    assert (page["nodes"], page["staged_nodes"], page["bytes_per_s"]) == (3, 1, 5 * 10**8)
    assert page["reasons"] == {"b, c": "no room"}
    assert page["text"].startswith("2.00 GB on 1 of 3 nodes: 1.00 GB copied in 2.0 s (500.0 MB/s)")


def test_copying_that_stands_still__is_an_error(tmp_path, monkeypatch):
    stuck = threading.Event()
    monkeypatch.setattr(staging.Stage, "fill", lambda *_: stuck.wait(60))
    monkeypatch.setattr(staging, "_STILL_S", 0.05)
    run = SimpleNamespace(job=job("data.stage=node_local"), read_index=index, path=tmp_path)
    comm = SimpleNamespace(rank=0, world_size=1, ranks=SimpleNamespace(host="a"))
    monkeypatch.setattr(staging, "_sources", lambda _: iter(()))
    own = staging._Copying(run, comm, ["a"])
    assert own.told()["error"] == ""
    time.sleep(0.1)
    assert "has stood still" in own.told()["error"]
    stuck.set()
    own._thread.join()
