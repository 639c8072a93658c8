"""The report: from complete, partial and damaged run directories."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hpctrain.analysis import charts
from hpctrain.analysis.record import read_record
from hpctrain.analysis.report import comparison, write_report
from hpctrain.errors import ConfigError

from . import fake_run


class Page(HTMLParser):
    """What a browser sees: text, tags that must be closed, and everything it would fetch."""

    VOID = ("meta", "link", "img", "br", "line", "circle", "polyline", "polygon")

    def __init__(self, html):
        super().__init__()
        self.text, self.fetched, self.tags, self.open = "", [], [], []
        self.feed(html)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "poster")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "title"):
            self.text += data


def report(run):
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_write_report__returns_the_file_beside_the_run(finished_run, tmp_path):
    assert write_report(finished_run) == finished_run / "report.html"
    assert write_report(finished_run, tmp_path / "web" / "r.html") == tmp_path / "web" / "r.html"
    assert not list(finished_run.glob(".report*"))


def test_write_report__headline_compares_with_trilinear(finished_run):
    page = report(finished_run)
    for words in ("0.1184", "0.1902", "38 % below trilinear", "83 % below trilinear", "36.1"):
        assert words in page.text
    assert "4.5 % above trilinear" in page.text
    assert "Finished after epoch 20 of 20." in page.text


def test_write_report__names_what_ran_on_what(finished_run):
    text = report(finished_run).text
    for words in ("horovod", "nid0001", "1a2b3c4d with changes", "c0de" * 16, "state_20.pt",
                  "3.2 MB", "latest", "local-5000", "8 × 8 × 8", "/data/mantle",
                  "computing 84", "waiting for data 2.1 %", "waiting for communication 8.7 %",
                  "optimizers 4", "other 1", "warning: slow disk"):  # fmt: skip
        assert words in text


def test_write_report__exit_code_of_each_start(finished_run):
    rows = re.findall(r"<tr><td>2025.*?</tr>", (write_report(finished_run)).read_text())
    assert [re.findall(r'class="n">(\d+)</td><td>local', row) for row in rows] == [["75"], ["0"]]


def test_write_report__asks_the_network_for_nothing(finished_run):
    page = report(finished_run)
    assert len([uri for uri in page.fetched if uri.startswith("data:image/png")]) == 4
    assert all(uri.startswith("data:") for uri in page.fetched)
    html = (finished_run / "report.html").read_text()
    assert "script" not in page.tags
    assert not re.search(r"https?://|@import|url\(", html)


def test_write_report__newest_slices_only(finished_run):
    page = report(finished_run)
    newest = (finished_run / "eval" / "figures" / "epoch_0020_temperature.png").read_bytes()
    assert "Fields after epoch 20" in page.text
    assert any(len(uri) == len("data:image/png;base64,") + -(-len(newest) // 3) * 4
               for uri in page.fetched)  # fmt: skip


def test_write_report__charts_of_losses_validation_and_spectra(finished_run):
    html = write_report(finished_run).read_text()
    titles = re.findall(r'role="img" class="chart" aria-label="([^"]+)"', html)
    assert titles[:2] == ["RMSE by epoch", "log-spectrum error by epoch"]
    assert "power spectrum of temperature" in titles
    assert titles[-5:] == [
        "generator loss", "discriminator loss", "gradient penalty", "learning rate", "samples/s",
    ]  # fmt: skip


@pytest.fixture
def measured_run(finished_run):
    """With numbers of two variables by shell, after each of six epochs."""
    shells, names = 3, ("temperature", "vx")
    page = {"variables": list(names), "radii": [3500.0, 5000.0, 6371.0]}
    page["deviation"] = {"truth": {"temperature": [10.0, 20.0, 0.0], "vx": [1e-9] * shells}}
    for metric in ("rmse", "correlation", "log_spectrum_error"):
        page[metric] = {"trilinear": dict.fromkeys(names, [0.5, 0.6, None])}
    write = (finished_run / "eval" / "shells.json").write_text
    write(json.dumps(page))
    with (finished_run / "logs" / "metrics.jsonl").open("a") as file:
        for epoch in range(1, 7):
            head = {"epoch": epoch, "step": 40 * epoch}
            points = {}
            for name, size in (("temperature", 100), ("vx", 1e-10)):
                for kind in ("generator", "trilinear"):
                    points[f"by_variable/{name}/rmse/{kind}"] = size / epoch
                    points[f"by_variable/{name}/correlation/{kind}"] = 1 - 0.1 / epoch
            file.write(json.dumps({"kind": "validation", **head, **points}) + "\n")
            own = {
                metric: {"temperature": [5.0 / epoch, 10.0 / epoch, None], "vx": [1e-10] * shells}
                for metric in ("rmse", "correlation", "log_spectrum_error")
            }
            file.write(json.dumps({"kind": "shells", **head, **own}) + "\n")
    return finished_run


def test_write_report__variables_and_shells_over_the_epochs(measured_run):
    html = write_report(measured_run).read_text()
    titles = re.findall(r'role="img" class="chart" aria-label="([^"]+)"', html)
    for title in ("temperature: rmse", "vx: correlation", "temperature: RMSE / deviation by shell",
                  "vx: log-spectrum error by shell"):  # fmt: skip
        assert title in titles
    assert "by variable/temperature/rmse by epoch" not in titles  # not once more among the means
    legends = re.findall(r'<span class="key c-(epoch-\d)">([^<]*)</span>', html)
    assert legends[:4] == [(f"epoch-{i}", f"epoch {e}") for i, e in enumerate((1, 3, 4, 6))]
    assert "depth, km" in html  # radii end at the Earth's surface
    assert "RMSE, 10⁻¹²" in html  # of numbers of 1e-10, which had no room


def test_write_report__shells_that_do_not_fit_are_left_out(measured_run):
    for content in ('{"variables": 3}', '{"variables": ["temperature"], "rmse": []}', "[1]"):
        (measured_run / "eval" / "shells.json").write_text(content)
        html = write_report(measured_run).read_text()
        assert "temperature: rmse" in html


def test_write_report__stages_begin_where_their_steps_do(tmp_path):
    stages = [(0, 100, [4, 4, 4]), (4, 120, [4, 8, 8]), (6, 40, [8, 8, 8])]
    names = ("first_epoch", "steps_per_epoch", "crop")
    facts = [dict(zip(names, stage, strict=True)) for stage in stages]
    run = fake_run.train(fake_run.render(tmp_path / "mantle"), stages=facts)
    drawn = charts.losses(read_record(run))[0]["svg"][0]
    texts = re.findall(r'x="([\d.]+)"[^>]*>(adversary.*?|crop.*?|\d+)</text>', drawn)
    places = {name: float(x) for x, name in texts}
    assert "crop 8 x 8 x 8, adversary" in places  # both from step 640 on
    step = (places["600"] - places["200"]) / 400
    found = [places[n] - 5 - places["0"] for n in ("crop 4 x 8 x 8", "crop 8 x 8 x 8, adversary")]
    assert found == pytest.approx([400 * step, 640 * step], abs=1)


def test_write_report__only_rendered(tmp_path):
    text = report(fake_run.render(tmp_path / "mantle")).text
    assert "Rendered, not started yet." in text
    for thing in ("validation has been run", "figure has been drawn", "spectrum has been measured",
                  "training step has been logged", "checkpoint has been written"):  # fmt: skip
        assert f"No {thing}" in text
    assert "The training has not been started yet." in text
    assert "Not everything could be read" not in text


def test_write_report__failed_before_any_validation(tmp_path):
    run = fake_run.render(tmp_path / "mantle")
    fake_run.train(run, 2, status="failed", exit_code=6, message="loss/generator is nan at step 81")
    text = report(run).text
    assert "Failed after epoch 2 of 20 with exit code 6: loss/generator is nan at step 81." in text
    assert "No spectrum has been measured yet." in text


def test_write_report__dead_process_is_not_called_running(tmp_path):
    import socket

    run = fake_run.train(fake_run.render(tmp_path / "mantle"), 2, status="running",
                         host=socket.gethostname(), pid=2**22 + 1)  # fmt: skip
    assert "Died after epoch 2 of 20: its process is gone" in report(run).text


def test_write_report__torn_last_line_of_metrics(finished_run):
    metrics = finished_run / "logs" / "metrics.jsonl"
    whole = write_report(finished_run).read_text()
    metrics.write_text(metrics.read_text() + '{"kind": "train", "time": 17600')
    torn = write_report(finished_run).read_text()
    assert "1 line torn or not a measurement" in torn
    assert re.findall("<polyline.*?>", torn) == re.findall("<polyline.*?>", whole)


def test_write_report__non_finite_numbers_are_gaps(finished_run):
    metrics = finished_run / "logs" / "metrics.jsonl"
    bad = {"kind": "train", "epoch": 20, "step": 801, "loss/generator": "nan",
           "loss/discriminator": float("inf")}  # fmt: skip
    metrics.write_text(metrics.read_text() + json.dumps(bad) + "\n")
    assert not re.search(r'points="[^"]*(nan|inf)', write_report(finished_run).read_text())


@pytest.mark.parametrize(
    "name", ["state.json", "index.json", "manifest.json", "eval/summary.json", "eval/spectra.json",
             "config.yaml", "site.yaml", "code/SOURCE.json"],
)  # fmt: skip
@pytest.mark.parametrize(
    "content", ['{"torn": [1, ', "[1, 2]", '{"rmse": 3, "k": [], "epoch": {}}']
)
def test_write_report__damaged_file_does_not_stop_it(finished_run, name, content):
    (finished_run / name).write_text(content)
    page = report(finished_run)
    if content.endswith("2]") or "torn" in content:
        assert name in page.text


def test_write_report__changed_index_is_told(finished_run):
    (finished_run / "index.csv").write_text("id,split\n")
    assert "index.csv was changed after it was written" in report(finished_run).text


def test_write_report__hostile_texts_are_shown_not_run(tmp_path):
    evil = '<script>alert("x")</script>'
    run = fake_run.render(tmp_path / "a & b", status="failed", message=evil, host=evil)
    fake_run.write_json(run / "eval" / "spectra.json",
                        {"k": [1, 2], "k_unit": evil, "truth": {evil: [2.0, 1.0]}})  # fmt: skip
    page = report(run)
    assert "script" not in page.tags
    assert evil in page.text
    assert "a & b" in page.text


def test_write_report__no_run_directory(tmp_path):
    with pytest.raises(ConfigError, match=r"no state\.json or config\.yaml"):
        write_report(tmp_path)


def test_write_report__needs_neither_torch_nor_matplotlib_nor_numpy():
    import subprocess

    heavy = {"torch", "matplotlib", "numpy"}
    code = f"import sys, hpctrain.analysis.report; print({heavy} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("generator", "trilinear", "words"),
    [(0.5, 1.0, "50 % below trilinear"), (1.025, 1.0, "2.5 % above trilinear"),
     (1.0, 1.0, "the same as trilinear"), (30.0, 2.0, "15 times that of trilinear"),
     (1.0, 0.0, "trilinear upsampling is exact here")],
)  # fmt: skip
def test_comparison__in_words(generator, trilinear, words):
    summary = {"rmse_normalized": {"generator": generator, "trilinear": trilinear}}
    assert comparison(summary)["headline"][0]["words"] == words


def test_comparison__none_before_the_first_validation():
    assert comparison({}) is None
    assert comparison({"rmse_normalized": {"generator": float("nan"), "trilinear": 1.0}}) is None


def test_template__ships_beside_the_module():
    folder = Path(sys.modules["hpctrain.analysis.report"].__file__).parent
    assert (folder / "report.html.j2").is_file()
    assert (folder / "report.css").is_file()
