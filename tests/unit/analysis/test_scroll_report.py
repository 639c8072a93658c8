"""The report of runs on scrolls: numbers in words, alarms, pictures, evaluations, predictions."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from hpctrain.analysis.detection import NUM_BINS, Detection
from hpctrain.analysis.report import write_report
from hpctrain.cli.report import headline
from hpctrain.errors import ConfigError
from hpctrain.provenance.run import read_manifest, run_id
from hpctrain.tasks.ink.evaluation import curves_of

from . import fake_run

DISTANCE = {"distance": [0.25, 0.5, 0.75, 0.95], "mse": [0.1, 0.1, 0.2, 0.4]}


def scored() -> Detection:
    """900 pixels of papyrus and 100 of ink, which overlap."""
    bins = np.arange(NUM_BINS)
    bell = [np.exp(-(((bins - at) / 400) ** 2)) for at in (2400, 1700)]
    return Detection(*(own / own.sum() * n for own, n in zip(bell, (100, 900), strict=True)))


def scores(found: Detection) -> dict[str, float]:
    f05, at = found.best(0.5)
    return {
        "auc": found.auc(),
        "average_precision": found.average_precision(),
        "f05": f05,
        "f05_threshold": at,
        "dice": found.best(1.0)[0],
        "calibration_error": found.calibration_error(),
        "ink_share": 0.1,
    }


def trained(run: Path, task: str, lines: list[dict[str, Any]], **state: Any) -> Path:
    """A run of a task whose validations have left these lines."""
    fake_run.render(run, status="finished", epoch=2, epochs=2, **state)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["train"] = {"task": task, "epochs": 2, "global_batch_size": 8}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    fake_run.write_json(run / "manifest.json", {"files": {}, "launches": [{"launch_id": "a"}]})
    (run / "logs" / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    return run


def draw(run: Path, *names: str) -> None:
    for i, name in enumerate(names):
        path = run / "eval" / "figures" / f"epoch_0002_{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (10 * i, 0, 0)).save(path)


@pytest.fixture
def ink_run(tmp_path: Path) -> Path:
    found = scores(scored())
    lines: list[dict[str, Any]] = [
        {"kind": "validation", "epoch": e, "step": 8 * e, "loss": 1 / e, **found} for e in (1, 2)
    ]
    lines.insert(1, {"kind": "alarm", "epoch": 1, "step": 8, "constant_output": 6e-5})
    run = trained(tmp_path / "ink", "ink", lines)
    summary = {"epoch": 2, "windows": 12, "pixels": 1000, **found, "error_by_distance": DISTANCE}
    fake_run.write_json(run / "eval" / "summary.json", summary)
    fake_run.write_json(run / "eval" / "ink.json", curves_of(scored()))
    draw(run, "ink_curves", "ink_error_by_distance", "ink_region", "ink_windows")
    return run


@pytest.fixture
def vae_run(tmp_path: Path) -> Path:
    numbers = {"loss": 1.4, "psnr": 21.5, "explained": 0.25, "active_units": 3.0, "divergence": 7.0}
    lines = [{"kind": "validation", "epoch": e, "step": 8 * e, **numbers} for e in (1, 2)]
    alarms = {"spike": {"text": "spike: vae 9 at step 12", "value": 9.0}}
    told = {"kind": "alarm", "epoch": 1, "step": 12, "spike": 9.0}
    run = trained(tmp_path / "vae", "scroll_vae", [*lines, told], alarms=alarms)
    summary = {"epoch": 2, "samples": 64, "latent_dim": 8, **numbers, "error_by_distance": DISTANCE}
    fake_run.write_json(run / "eval" / "summary.json", summary)
    draw(run, "error_by_distance", "latent_traversal", "reconstruction")
    return run


def charts(html: str) -> list[str]:
    return re.findall(r'role="img" class="chart" aria-label="([^"]+)"', html)


def pictures(html: str) -> list[str]:
    return re.findall(r'<img src="data:image/png;base64,[^"]+" alt="([^"]+)"', html)


def test_report_of_ink__says_what_the_numbers_mean(ink_run: Path) -> None:
    html = write_report(ink_run).read_text()
    found, curves = scores(scored()), curves_of(scored())
    for key in ("auc", "f05", "dice", "calibration_error"):
        assert f'<div class="big">{found[key]:.3f}</div>' in html
    place = int(np.argmin(np.abs(np.array(curves["threshold"]) - found["f05_threshold"])))
    precision, recall = (100 * curves[key][place] for key in ("precision", "recall"))
    assert f"higher than one of bare papyrus in {100 * found['auc']:.0f} % of all pairs" in html
    assert f"{precision:.0f} % of what is marked is ink, and {recall:.0f} % of the ink" in html
    # F0.5 and Dice of calling all ink, with a tenth of it: 1.25 s / (0.25 s + 1) and 2 s / (s + 1)
    assert "0.122 if all were called ink" in html
    assert "0.182 if all were called ink" in html
    assert "errs 4.00 times as much (squared) as its inner half" in html
    assert "trilinear" not in re.sub("<style>.*?</style>|c-trilinear", "", html, flags=re.DOTALL)


def test_report_of_ink__draws_curves_of_numbers_and_pictures_in_order(ink_run: Path) -> None:
    html = write_report(ink_run).read_text()
    assert charts(html)[:8] == [
        "precision by recall", "F0.5 and Dice by threshold", "calibration",
        "error by distance from the centre", "AUC and average precision by epoch",
        "F0.5 and Dice, each at its best threshold by epoch", "calibration error by epoch",
        "loss on held-out windows by epoch",
    ]  # fmt: skip
    assert pictures(html) == ["The held-out region", "Single windows"]
    (ink_run / "eval" / "ink.json").unlink()  # then the drawn curves are shown
    html = write_report(ink_run).read_text()
    assert pictures(html)[-1] == "Precision and recall, thresholds, calibration"


def test_report__alarms_that_are_over_and_that_stand(ink_run: Path, vae_run: Path) -> None:
    over, stands = (write_report(run).read_text() for run in (ink_run, vae_run))
    assert '<td class="good">over</td><td>epoch 1, step 8</td>' in over
    assert '<section class="card">\n<b>Alarms</b>' in over
    assert '<td class="bad">stands</td><td>epoch 1, step 12</td>' in stands
    assert "<li>spike: vae 9 at step 12</li>" in stands
    assert '<section class="card problems">\n<b>Alarms</b>' in stands


def test_report_of_a_vae__says_what_the_numbers_mean(vae_run: Path) -> None:
    html = write_report(vae_run).read_text()
    for words in ("21.50 dB", "25.0 %", "3 of 8 latent numbers differ from cube to cube; the",
                  "7 nats from the prior: the code of a cube holds 10.1 bits at most"):  # fmt: skip
        assert words in html
    assert pictures(html) == [
        "Cubes and their reconstructions", "What single latent numbers change"
    ]  # fmt: skip
    assert "PSNR, dB by epoch" in charts(html)


def test_report_of_a_vae__that_tells_nothing(vae_run: Path) -> None:
    path = vae_run / "eval" / "summary.json"
    page = json.loads(path.read_text()) | {"explained": -0.05, "active_units": 0.0}
    path.write_text(json.dumps(page))
    html = write_report(vae_run).read_text()
    assert '<div class="big bad">-5.0 %</div>' in html
    assert "no better than the mean of all cubes" in html
    assert "No latent number differs from cube to cube" in html


def evaluate(run: Path, made_by: str | None = None) -> Path:
    """What `hpctrain evaluate` leaves of one segment; returns its page."""
    found = scored()
    fake_run.write_json(
        run / "eval" / "segments.json",
        {"epoch": 2, **scores(found), "curves": curves_of(found),
         "segments": [{"name": "7", "seams": {"ratio": 0.98}}]},
    )  # fmt: skip
    page = run / "eval" / "segments" / "7.json"
    seams = {"ratio": 0.98, "by_distance": [0.098, 0.1, 0.101, 0.1, None]}
    stamp = {"run_id": made_by or run_id(read_manifest(run)), "run_name": "ink", "epoch": 2}
    fake_run.write_json(
        page,
        {"source": "7", "source_sha256": "5ca1e", "hpctrain_windows": "16 x 64 x 64 voxels",
         "seams": seams, "scores": {"of": "the part that was held out", "auc": 0.987},
         "provenance": {**stamp, "checkpoint": "state_2.pt", "checkpoint_digest": "d1935"}},
    )  # fmt: skip
    Image.new("RGB", (9, 9)).save(page.with_name("7-figure.png"))
    return page


def test_report_of_ink__shows_what_evaluate_found(ink_run: Path) -> None:
    page = evaluate(ink_run)
    html = write_report(ink_run).read_text()
    assert "Whole segments" in html
    assert "<code>hpctrain evaluate</code> found them after epoch 2.</p>" in html
    assert charts(html).count("calibration") == 2
    for words in ("differ 0.98 times as much as those right beside them: nothing is seen", "5ca1e",
                  "AUC 0.987", "16 x 64 x 64 voxels", "state_2.pt", "d1935"):  # fmt: skip
        assert words in html
    assert "seams: difference of neighbouring pixels" in charts(html)
    figure = base64.b64encode(page.with_name("7-figure.png").read_bytes()).decode()
    assert figure in html
    assert "Another run made this" not in html


def test_report_of_ink__shows_predictions_that_are_named(ink_run: Path, tmp_path: Path) -> None:
    page = evaluate(ink_run, made_by="another")
    folder = tmp_path / "read"
    page.parent.rename(folder)
    (folder / "other.json").write_text('{"seams": 3}')
    (ink_run / "eval" / "segments.json").unlink()
    for given in (folder, folder / "7.json"):
        html = write_report(ink_run, predictions=[given]).read_text()
        assert html.count("<b>segment 7</b>") == 1
        assert "Another run made this: ink." in html
    (folder / "7.json").unlink()
    for given in (folder, folder / "7.json", folder / "7.png"):
        with pytest.raises(ConfigError, match="no page NAME.json of hpctrain predict there"):
            write_report(ink_run, predictions=[given])


def test_report__leaves_out_figures_of_very_many_segments(ink_run: Path, tmp_path: Path) -> None:
    page = evaluate(ink_run)
    folder = tmp_path / "read"
    folder.mkdir()
    for i in range(20):
        for name in ("7.json", "7-figure.png"):
            (folder / name.replace("7", f"{i:02d}")).write_bytes(page.with_name(name).read_bytes())
    html = write_report(ink_run, predictions=[folder]).read_text()
    assert html.count("<b>segment ") == 21
    assert len([name for name in pictures(html) if name.startswith("segment ")]) == 12
    assert f"Its figure is left out here: {folder / '19-figure.png'}" in html


def test_report_of_a_vae__shows_what_evaluate_found(vae_run: Path) -> None:
    blocks = {"blocks": [2, 2, 2], "psnr": 22.0, "explained": 0.4, "mse": 0.6}
    curve = {**DISTANCE, "block means": [0.2] * 4}
    page = {"cubes": 96, "psnr": 21.5, "explained": 0.25, "mse": 0.7, "block_means": blocks}
    fake_run.write_json(vae_run / "eval" / "cubes.json", {**page, "error_by_distance": curve})
    (vae_run / "eval" / "cubes").mkdir()
    Image.new("RGB", (9, 9)).save(vae_run / "eval" / "cubes" / "reconstruction.png")
    html = write_report(vae_run).read_text()
    assert "0.50 dB below the 22.00 dB of 2 × 2 × 2 block means" in html
    assert "has not learned more than plain averaging" in html
    assert '<td>mean squared error</td><td class="n">0.7</td><td class="n">0.6</td>' in html
    assert pictures(html).count("Cubes and their reconstructions") == 2
    assert ">block means</span>" in html


@pytest.mark.parametrize("content", ["{", "[1]", "3", '{"curves": 3, "segments": [4], "cubes": []}',
                                     '{"calibration": {"predicted": 1}, "threshold": ["a"]}',
                                     '{"auc": "x", "error_by_distance": {"distance": [null]}}',
                                     '{"error_by_distance": {"distance": [1], "mse": ["a"]}}',
                                     '{"segments": [{"name": "../7", "seams": 3}]}'])  # fmt: skip
@pytest.mark.parametrize(
    ("task", "name"),
    [("ink", "summary"), ("ink", "ink"), ("ink", "segments"), ("vae", "cubes"), ("vae", "summary")],
)
def test_report__of_scrolls_survives_damaged_pages(
    ink_run: Path, vae_run: Path, task: str, name: str, content: str
) -> None:
    run = ink_run if task == "ink" else vae_run
    (run / "eval" / f"{name}.json").write_text(content)
    assert "<h2>Validation</h2>" in write_report(run).read_text()


def test_report_of_ink__before_any_validation(tmp_path: Path) -> None:
    html = write_report(trained(tmp_path / "ink", "ink", [])).read_text()
    assert "No validation has been run yet." in html
    assert "No figure has been drawn yet." in html
    assert "Power spectra" not in html


def test_headline__of_scrolls(ink_run: Path, vae_run: Path) -> None:
    assert headline(ink_run)[0] == "12 windows that were not trained on, after epoch 2:"
    assert headline(ink_run)[1].startswith(f"  AUC {scored().auc():.4f}  F0.5 ")
    assert headline(vae_run)[0] == "64 cubes that were not trained on, after epoch 2:"
    assert "PSNR 21.5000  explained 0.2500" in headline(vae_run)[1]
