"""Whether data fit the disk that they are to be copied to."""

from __future__ import annotations

import pytest

from hpctrain.config.check import check
from hpctrain.errors import ConfigError
from hpctrain.preflight import staging
from hpctrain.preflight.staging import staging_findings
from hpctrain.render.texts import with_absolute_paths
from tests.jobs import BATCH, mantle


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    for i in range(6):
        with (tmp_path / "data" / f"mantle{i}.nc").open("wb") as file:
            file.truncate(10**9)
    return tmp_path


def found(folder, site, *settings, **facts):
    more = BATCH if site != "local" else ()
    resolved = mantle(site, "data.root=data", "data.validation_steps=1", *more, *settings)
    job = with_absolute_paths(resolved.job, folder)
    return [str(f) for f in staging_findings(job, resolved.site.model_copy(update=facts))]


STAGED = "data.stage=node_local"


def test_not_asked_for__nothing_is_said(folder):
    assert found(folder, "polaris") == []


def test_site_that_tells_the_size__is_compared(folder):
    assert found(folder, "polaris", STAGED, scratch_gb=7) == []
    (line,) = found(folder, "polaris", STAGED, scratch_gb=5)
    assert line.startswith(
        "warning: data.stage: 6.00 GB are to be copied to /local/scratch of each node, and it has "
        "5 GB: they will be read in place"
    )


def test_divided__a_node_copies_its_part_and_all_to_validate_on(folder):
    divided = (STAGED, "data.order.kind=divided")
    assert found(folder, "polaris", *divided, scratch_gb=4) == []
    assert "3.50 GB are to be copied" in found(folder, "polaris", *divided, scratch_gb=3)[0]


def test_size_that_is_not_known__is_said(folder):
    (line,) = found(folder, "polaris", STAGED, scratch_gb=None)
    assert line.startswith("note: data.stage: 6.00 GB are copied to /local/scratch of each node")


def test_this_machine__is_looked_at(folder, monkeypatch):
    here = (STAGED, f"data.stage_dir={folder}")
    assert found(folder, "local", STAGED, "data.stage_dir=/gone/x")[0].startswith("warning")
    real = staging.os.statvfs(folder)
    full = staging.os.statvfs_result([*real[:4], 10, *real[5:]])
    monkeypatch.setattr(staging.os, "statvfs", lambda _: full)
    (line,) = found(folder, "local", *here)
    assert "and 0.0 MB are free" in line


def test_site_without_scratch__is_refused():
    resolved = mantle("derecho", *BATCH, STAGED)
    with pytest.raises(ConfigError, match="site derecho names no disk of the nodes"):
        check(resolved.job, resolved.site)
    with pytest.raises(ConfigError, match="stage_dir would have no effect"):
        mantle("derecho", *BATCH, "data.stage_dir=/x")
