"""What of a sweep is handed in, and in which order."""

import pytest

from hpctrain.errors import ConfigError
from hpctrain.sweep import is_sweep, submissions
from tests.unit.sweep.builders import GRID, sweep, write


def rendered(tmp_path, spec, site="generic-slurm"):
    write(tmp_path, sweep(spec, str(site)))
    return tmp_path / "mantle"


def test_submissions__one_array(tmp_path):
    folder = rendered(tmp_path, {"grid": GRID})
    (one,) = submissions(folder)
    assert is_sweep(folder)
    assert (one.script, one.depends_on, one.how) == (folder / "run.slurm", None, "array")
    assert one.points == tuple(f"{i:03}" for i in range(6))


def test_submissions__arrays_wait_for_each_other(tmp_path):
    site = tmp_path / "mine.yaml"
    site.write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: openmpi}\n"
        'rules: {"*": {max_array: 3}}\n'
    )
    rates = [i * 1e-4 for i in range(1, 31)]
    folder = rendered(tmp_path, {"grid": {"train.optimizer.learning_rate": rates}}, site)
    found = submissions(folder)
    assert [one.script.name for one in found] == [f"run-{i}.slurm" for i in range(1, 11)]
    assert [one.depends_on for one in found] == [None, *range(9)]
    assert found[3].points == ("009", "010", "011")


def test_submissions__throttled(tmp_path):
    folder = rendered(tmp_path, {"grid": GRID, "max_running": 2}, "generic-cobalt")
    found = submissions(folder)
    assert [one.depends_on for one in found] == [None, None, 0, 1, 2, 3]
    assert found[2].script == folder / "points" / "002" / "run.cobalt"
    assert found[2].points == ("002",)


def test_submissions__all_at_once(tmp_path):
    found = submissions(rendered(tmp_path, {"grid": GRID}, "generic-cobalt"))
    assert {one.depends_on for one in found} == {None}


def test_submissions__of_something_else(tmp_path):
    assert not is_sweep(tmp_path)
    with pytest.raises(ConfigError, match=r"no sweep\.json that can be read"):
        submissions(tmp_path)
