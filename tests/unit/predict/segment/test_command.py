"""Predictions of whole segments: what is written, what is gone on with, what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch
import yaml
import zarr

from hpctrain.config.load import read_resolved
from hpctrain.data.scroll.scales import ScrollScales
from hpctrain.errors import BusyError, ConfigError, DataError
from hpctrain.predict.options import Options
from hpctrain.predict.ranks import OtherRankError
from hpctrain.predict.segment import product, setup, work
from hpctrain.predict.segment.ink import load_ink
from hpctrain.predict.segment.parts import Parts
from hpctrain.predict.segment.source import Found, Segment
from hpctrain.predict.segment.targets import name_targets
from hpctrain.predict.segment.windows import AxisWindows
from hpctrain.predict.trained import read_checkpoint
from hpctrain.provenance import read
from tests.unit.data.scroll.builders import mask, write_fragment
from tests.unit.predict.segment.made import (
    SHAPE,
    KilledError,
    files_in,
    grey,
    kill_after,
    make_run,
    run_predict,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("made"))


def terminated():
    os.kill(os.getpid(), signal.SIGTERM)


def net_says(run, values, scale=None):
    """Probabilities of one window of grey values, (y, x)."""
    job = read_resolved(run / "config.yaml")
    path, state = read_checkpoint(run, None)
    trained = load_ink(job.train, job.data.window, path, state, "auto")
    window = scale.apply(values) if scale else trained.scales.apply("1", values)
    with torch.no_grad():
        return torch.sigmoid(trained.network(torch.from_numpy(window[None, None])))[0].numpy()


@pytest.mark.parametrize("offsets", [[], [1, -2, 3]])
def test_predict__one_window_over_all_is_what_the_net_says(run, tmp_path, offsets):
    run_predict(run, tmp_path / "a.zarr", tile=[4, 40, 60], border=0, depth_offsets=offsets)
    found = zarr.open_array(tmp_path / "a.zarr", mode="r")
    asked = ", ".join(map(str, sorted(offsets))) or "0"
    assert found.attrs["hpctrain_depth_offsets"] == asked
    found = found[:]
    views = [grey()[2 + z : 6 + z] for z in offsets or [0]]  # the middle is four of nine layers
    direct = np.mean([net_says(run, view) for view in views], axis=0)
    own = mask(SHAPE)
    np.testing.assert_allclose(found[own], direct[own], rtol=3e-6)
    assert np.isnan(found[~own]).all()


def test_predict__all_outputs_agree_and_say_where_they_are_from(run, tmp_path):
    before = files_in(run.parent)  # with the data
    lines = run_predict(run, tmp_path / "out")
    assert files_in(run.parent) == before
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        *("1-figure.png", "1.json", "1.png", "1.tif", "1.zarr")
    ]
    values = zarr.open_array(tmp_path / "out" / "1.zarr", mode="r")
    tiff = tifffile.imread(tmp_path / "out" / "1.tif")
    np.testing.assert_array_equal(tiff, np.rint(np.nan_to_num(values[:]) * 65535))
    page = json.loads((tmp_path / "out" / "1.json").read_text())
    assert page["pixels"] == mask(SHAPE).sum()
    assert page["hpctrain_windows"].startswith("4 x 16 x 16 voxels, stride 7 x 7, border 0 x 0")
    assert page["scores"]["of"] == "the part that was held out"
    assert (
        page["hpctrain_seams"] == f"{page['seams']['ratio']:.4f}" == values.attrs["hpctrain_seams"]
    )
    for name in ("1.png", "1.tif", "1.json", "1-figure.png", "1.zarr"):
        found = read(tmp_path / "out" / name)
        assert found.stamp.product == "prediction"
        assert found.stamp.checkpoint == "state_1.pt"
        assert found.is_intact is (None if name == "1.zarr" else True)
    assert sum(line.startswith("wrote ") for line in lines) == 5
    assert any("seams" in line for line in lines)


def test_predict__the_figure_claims_no_training_beyond_what_was_held_out(
    run, tmp_path, monkeypatch
):
    """A strip of a window's extent, and what is off the mask, was not trained on either."""
    titles = []
    real = product.ink_figures.region
    monkeypatch.setattr(
        product.ink_figures, "region", lambda *a: (titles.append(a[1]), real(*a))[1]
    )
    run_predict(run, tmp_path / "out", kind="png")
    assert titles == ["1; framed: held out; the rest may have been trained on"]


def test_predict__flips_are_the_mean_of_four_views(run, tmp_path):
    """A mirrored segment gives the mirrored picture then, and only then."""
    write_fragment(tmp_path / "s" / "a", grey(), labels=np.zeros(SHAPE[1:], bool))
    write_fragment(tmp_path / "s" / "b", grey()[:, :, ::-1], labels=np.zeros(SHAPE[1:], bool))
    inputs = [str(tmp_path / "s" / name) for name in ("a", "b")]
    for flips in (False, True):
        out = tmp_path / f"out{flips}"
        run_predict(run, out, inputs=inputs, flips=flips, kind="zarr", tile=[4, 40, 60])
        a, b = (zarr.open_array(out / f"{n}.zarr", mode="r")[:] for n in "ab")
        own = mask(SHAPE) & mask(SHAPE)[:, ::-1]
        assert np.allclose(a[own], b[:, ::-1][own], atol=1e-5) is flips


def test_predict__goes_on_with_what_a_killed_one_has_left(run, tmp_path, monkeypatch):
    run_predict(run, tmp_path / "whole")
    with monkeypatch.context() as patch:
        kill_after(patch, 2)
        with pytest.raises(KilledError):
            run_predict(run, tmp_path / "cut")
    assert [p.name for p in (tmp_path / "cut").iterdir()] == [".1.parts"]
    with pytest.raises(ConfigError, match=r"another stride \(\[7, 7\]; now \[5, 5\]\)"):
        run_predict(run, tmp_path / "cut", stride=5)
    with monkeypatch.context() as patch:
        kept = kill_after(patch, 99)
        run_predict(run, tmp_path / "cut")
    assert kept == list(range(2, 5))
    assert files_in(tmp_path / "cut") == files_in(tmp_path / "whole")
    with pytest.raises(ConfigError, match="is there already; give another place, or --overwrite"):
        run_predict(run, tmp_path / "cut")


def test_predict__ended_by_sigterm_keeps_its_bands(run, tmp_path, monkeypatch, capfd):
    for count, told in ((0, "nothing was done yet"), (2, "the same command goes on with it")):
        with monkeypatch.context() as patch:
            kill_after(patch, count, terminated)
            with pytest.raises(SystemExit) as left:
                run_predict(run, tmp_path / "cut")
        assert left.value.code == 143
        assert told in capfd.readouterr().err
        kept = {path.name for path in tmp_path.glob("cut/.1.parts/*")}
        bands = {f"band_{n:06d}.f4" for n in range(count)}
        assert kept == (bands | {"plan.json", "lock"} if count else set())
    with monkeypatch.context() as patch:
        assert not (kept := kill_after(patch, 99))
        run_predict(run, tmp_path / "cut")
    assert kept == list(range(2, 5))


def test_predict__of_several_segments_goes_on_after_those_that_are_done(run, tmp_path, monkeypatch):
    inputs = [str(write_fragment(tmp_path / "in" / name, grey(n))) for n, name in enumerate("ab")]
    options = {"inputs": inputs, "kind": "png"}
    run_predict(run, tmp_path / "whole", **options)
    with monkeypatch.context() as patch:
        kill_after(patch, 7)  # of five a segment
        with pytest.raises(KilledError):
            run_predict(run, tmp_path / "cut", **options)
    before = (tmp_path / "cut" / "a.png").stat().st_mtime_ns
    with pytest.raises(ConfigError, match=r"another stride"):
        run_predict(run, tmp_path / "cut", stride=5, **options)
    with monkeypatch.context() as patch:
        kept = kill_after(patch, 99)
        lines = run_predict(run, tmp_path / "cut", **options)
    assert kept == [2, 3, 4]
    assert (tmp_path / "cut" / "a.png").stat().st_mtime_ns == before
    assert f"{tmp_path / 'cut' / 'a.png'}: is there already" in lines
    assert files_in(tmp_path / "cut") == files_in(tmp_path / "whole")


def test_predict__refuses_bands_of_other_code(run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, 2)
        with pytest.raises(KilledError):
            run_predict(run, tmp_path / "a.png")
    monkeypatch.setattr(setup, "code_digest", lambda folder: "0123456789abcdef0")
    with pytest.raises(ConfigError, match=r"another code of hpctrain \(.{16}; now 0123456789abc"):
        run_predict(run, tmp_path / "a.png")


def test_predict__with_less_memory_takes_fewer_windows_at_once_also_when_it_goes_on(
    run, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        kill_after(patch, 1)
        with pytest.raises(KilledError):
            run_predict(run, tmp_path / "a.png")
    known = json.loads((tmp_path / ".a.png.parts" / "plan.json").read_text())["at_once"]
    found = []
    real = work.Bands
    monkeypatch.setattr(work, "Bands", lambda *a: (found.append(a[4]), real(*a))[1])
    run_predict(run, tmp_path / "a.png", memory_mb=1)
    assert found[0] < known


def test_work__ends_at_the_next_window_once_another_rank_has_failed(tmp_path, monkeypatch):
    rows = AxisWindows(64, 16, 8)
    seen = []

    class Bands:
        def __init__(self, *_):
            pass

        def windows_of(self, number):
            return 1

        def compute(self, numbers, after_window):
            for number in numbers:
                seen.append(number)
                after_window()
                own.mark_failed()
                yield number, np.zeros((8, 64), np.float32)

    monkeypatch.setattr(work, "Bands", Bands)
    own = Parts(tmp_path / "p", {"same": {}, "at_once": 1})
    own.open(may_replace=False)
    one = work.Work.__new__(work.Work)
    one._group = SimpleNamespace(comm=SimpleNamespace(rank=1, world_size=2), is_first=False)
    one._segment, one._grid, one._parts = (
        SimpleNamespace(shape=(64, 64), depths=[0]),
        (rows, rows),
        own,
    )
    one._ready = SimpleNamespace(predictor=None)
    with pytest.raises(OtherRankError):
        one._compute(work._Begun(None, "", 1, list(range(7)), is_done=False))
    assert seen == [3, 4]
    own.let_go()
    again = Parts(own.folder, own.plan)
    again.open(may_replace=False)
    assert not again.is_marked_failed()
    assert again.count == 1
    again.remove()


def test_predict__begins_anew_where_it_is_told_to(run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, 1)
        with pytest.raises(KilledError):
            run_predict(run, tmp_path / "a.png")
    run_predict(run, tmp_path / "a.png", stride=5, overwrite=True)
    run_predict(run, tmp_path / "b.png", stride=5)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_parts__of_a_prediction_at_work_are_left_alone(tmp_path):
    one, two = (Parts(tmp_path / "p", {"same": {}, "at_once": 1}) for _ in range(2))
    one.open(may_replace=False)
    with pytest.raises(BusyError, match="another prediction writes the same output"):
        two.open(may_replace=True)
    one.let_go()
    two.open(may_replace=False)
    two.remove()


def test_predict__of_an_unknown_segment_measures_its_grey_values(run, tmp_path):
    """Twice the grey values are the same papyrus, seen by another scanner."""
    own = mask(SHAPE)
    found = []
    for factor in (1, 2):
        folder = tmp_path / f"s{factor}"
        write_fragment(folder, (grey() * np.uint16(factor) if factor == 1 else grey() // 2))
        run_predict(run, tmp_path / f"{factor}.zarr", inputs=[str(folder)])
        found.append(zarr.open_array(tmp_path / f"{factor}.zarr", mode="r")[:])
    np.testing.assert_allclose(found[0][own], found[1][own], atol=2e-3)
    page = run_predict(run, tmp_path / "out", inputs=[str(tmp_path / "s1")])
    assert any("labels of all of it" in line for line in page)


def test_predict__of_an_unknown_segment_of_a_known_name_measures_it_too(run, tmp_path, capfd):
    """The run has read another segment whose folder has this name."""
    found = []
    for name in ("1", "2"):
        write_fragment(tmp_path / name, grey() // 2)
        out = tmp_path / f"{name}.zarr"
        run_predict(run, out, inputs=[str(tmp_path / name)])
        assert "scale of its grey values was measured" in capfd.readouterr().err
        found.append(zarr.open_array(out, mode="r")[:])
    np.testing.assert_array_equal(found[0], found[1])


def test_predict__says_of_which_epoch_the_border_is(run, tmp_path, capfd):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "eval").mkdir()
    curve = {"distance": [(n + 0.5) / 8 for n in range(8)], "mse": [1.0] * 6 + [2.0, 3.0]}
    for epoch, is_told in ((1, False), (7, True)):
        page = {"epoch": epoch, "error_by_distance": curve}
        (tmp_path / "run" / "eval" / "summary.json").write_text(json.dumps(page))
        run_predict(tmp_path / "run", tmp_path / f"{epoch}.png")
        log = capfd.readouterr().err
        assert f"by the error that validation measured after epoch {epoch}" in log
        told = "the newest validation, after epoch 7, and state_1.pt is of epoch 1; --border"
        assert ("newest validation" in log) is (told in log) is is_told


@pytest.mark.parametrize(
    ("out", "text"),
    [
        ("1/surface_volume", "is within the segment"),
        ("1/mask.png", "is within the segment"),
        ("v_mask.png", "is an input itself"),
    ],
)
def test_predict__never_writes_over_its_input(run, tmp_path, out, text):
    folder = write_fragment(tmp_path / "1", grey())
    np.save(tmp_path / "v.npy", grey())
    shutil.copy(folder / "mask.png", tmp_path / "v_mask.png")
    before = files_in(tmp_path)
    given = str(tmp_path / "v.npy") if out[0] == "v" else str(folder)
    with pytest.raises(ConfigError, match=text):
        run_predict(run, tmp_path / out, inputs=[given], overwrite=True)
    assert files_in(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"coarsen": True}, "--coarsen: predictions of task ink have no use for it"),
        ({"overlap": 4}, "--overlap: windows over a segment overlap by --stride"),
        ({"kind": "netcdf"}, "--format: found 'netcdf'; a picture of ink can be png, tiff, zarr"),
        ({"tile": [18]}, "--tile: 18 is no multiple of 4"),
        ({"tile": [5, 16, 16]}, "--tile: found 5 layers; allowed: 4"),
        ({"stride": 17}, "--stride: found 17; allowed: 1 to 16"),
        (
            {"depth_offsets": [-3, 0]},
            "--depth-offsets: found -3 to 0; allowed: -2 to 3, as",
        ),
        ({"inputs": ["nowhere"]}, "--input: nowhere: no such segment"),
    ],
)
def test_predict__refuses_what_it_cannot_do(run, tmp_path, options, text):
    with pytest.raises(ConfigError, match=text):
        run_predict(run, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_predict__refuses_to_go_on_at_other_depths(run, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        kill_after(patch, 1)
        with pytest.raises(KilledError):
            run_predict(run, tmp_path / "a.png", depth_offsets=[-1, 1])
    with pytest.raises(ConfigError, match=r"another offsets in depth \(\[-1, 1\]; now \[0\]\)"):
        run_predict(run, tmp_path / "a.png")


@pytest.mark.parametrize("shape", [(9, 10, 60), (9, 40, 11), (9, 7, 3), (9, 1, 1)])
def test_predict__of_a_segment_smaller_than_a_window(run, tmp_path, shape):
    """What is beyond it is mirrored for the network, and not written."""
    folder = write_fragment(tmp_path / "s", grey(shape=shape), labels=np.zeros(shape[1:], bool))
    (folder / "mask.png").unlink()
    run_predict(run, tmp_path / "a.zarr", inputs=[str(folder)], tile=[4, 40, 60], border=0)
    found = zarr.open_array(tmp_path / "a.zarr", mode="r")[:]
    assert found.shape == shape[1:]
    job = read_resolved(run / "config.yaml")
    segment = Segment(Found(folder, ""), job.data, ScrollScales("standard", {}))
    beyond = ((0, 0), (0, 40 - shape[1]), (0, 60 - shape[2]))
    window = np.pad(grey(shape=shape)[2:6], beyond, mode="reflect")
    direct = net_says(run, window, segment.measure())[: shape[1], : shape[2]]
    np.testing.assert_allclose(found, direct, rtol=3e-5)


def test_targets__that_write_one_file_do_not_share_its_scratch(tmp_path):
    """`--out x/1.png` and `--out x` may run at the same time, as their bands are apart."""
    found = [Found(tmp_path / "1", "")]
    file, folder = (
        name_targets(Options(out=out), found)[0] for out in (tmp_path / "1.png", tmp_path)
    )
    both = set(file.paths) & set(folder.paths)
    assert both == {tmp_path / "1.png"}
    scratch = [target.scratch(path) for target in (file, folder) for path in target.paths]
    assert len(set(scratch)) == len(scratch)
    assert not set(scratch) & {*file.paths, *folder.paths, file.parts, folder.parts}


def test_predict__refuses_segments_of_fewer_layers(run, tmp_path):
    write_fragment(tmp_path / "s", grey()[:3])
    with pytest.raises(DataError, match="has 3 layers, and the run reads 4"):
        run_predict(run, tmp_path / "out", inputs=[str(tmp_path / "s")])


def test_predict__of_another_task_says_so(run, tmp_path):
    page = yaml.safe_load((run / "config.yaml").read_text())
    page["train"] = {"task": "scroll_vae", "epochs": 1, "global_batch_size": 1}
    page["data"]["window"] = [16, 16, 16]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(page))
    with pytest.raises(ConfigError, match="train.task is scroll_vae, which"):
        run_predict(tmp_path, tmp_path / "out")
    with pytest.raises(ConfigError, match="--depth-offsets: it is for runs of task ink"):
        run_predict(tmp_path, tmp_path / "out", depth_offsets=[1])
    with pytest.raises(ConfigError, match="--flips: it is for runs of task ink; leave it out"):
        run_predict(tmp_path, tmp_path / "out", flips=True)
