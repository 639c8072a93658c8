"""`hpctrain report`: which run is meant, and what is printed."""

import json

import pytest

from hpctrain.cli import report
from hpctrain.errors import ConfigError


@pytest.fixture
def mantle(tmp_path, monkeypatch):
    """A rendered run jobs/mantle below the current folder."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "jobs" / "mantle"
    run.mkdir(parents=True)
    (run / "state.json").write_text('{"status": "rendered"}')
    return run


@pytest.mark.parametrize("name", ["mantle", "jobs/mantle", "./jobs/mantle/"])
def test_report__prints_the_path_written(mantle, capsys, name):
    report.command(report.Path(name), None)
    assert capsys.readouterr().out == "report: jobs/mantle/report.html\n"
    assert "Rendered, not started yet." in (mantle / "report.html").read_text()


def test_report__out(mantle, capsys, tmp_path):
    report.command(mantle, tmp_path / "web" / "page.html")
    assert capsys.readouterr().out == f"report: {tmp_path / 'web' / 'page.html'}\n"
    assert (tmp_path / "web" / "page.html").is_file()


def test_report__misspelt_run_names_the_near_one(mantle):
    with pytest.raises(ConfigError, match="choose from mantle in jobs/. Did you mean 'mantle'"):
        report.command(report.Path("mantel"), None)


def test_report__no_runs_at_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="hpctrain render mantle.yaml"):
        report.command(report.Path("mantle"), None)


def test_report__a_sweep_has_points(mantle):
    mantle.rename(mantle.parent / "000")
    (mantle / "points").mkdir(parents=True)
    (mantle.parent / "000").rename(mantle / "points" / "000")
    with pytest.raises(ConfigError, match="give one of its points, such as jobs/mantle/points/000"):
        report.command(report.Path("mantle"), None)


def test_report__says_where_films_are_and_what_mp4_needs(mantle, capsys):
    folder = mantle / "eval" / "whole"
    folder.mkdir(parents=True)
    (folder / "time_vx.gif").touch()
    report.command(mantle, None)
    assert "for MP4 load the module of ffmpeg, or pip install 'hpctrain[movie]'" in (
        capsys.readouterr().out
    )
    (folder / "time_vx.mp4").touch()
    report.command(mantle, None)
    assert f"animations: {folder}/time_*.gif and .mp4" in capsys.readouterr().out


def test_report__shows_what_does_not_exist_as_a_dash(mantle):
    kinds = {"generator": 0.5, "trilinear": 1.0}
    page = {"samples": 3, "epoch": 2, "samples_per_s": 7.0, "rmse_normalized": kinds}
    page["log_spectrum_error"] = dict.fromkeys(kinds)
    (mantle / "eval").mkdir()
    (mantle / "eval" / "summary.json").write_text(json.dumps(page))
    _, rmse, spectrum, _ = report.headline(mantle)
    assert rmse.split()[1:] == ["generator", "0.5000", "trilinear", "1.0000", "(ratio", "0.50)"]
    assert spectrum.split()[2:] == ["generator", "–", "trilinear", "–"]
