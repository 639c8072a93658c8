"""`hpctrain report`: which run is meant, and what is printed."""

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
