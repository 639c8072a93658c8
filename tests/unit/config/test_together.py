"""Chains, sweeps, dependencies and launchers against the site."""

import pytest

from hpctrain.config.sweep import Sweep
from hpctrain.config.together import num_points, together_findings
from tests.jobs import BATCH, mantle

SITE = """
name: mine
title: x
scheduler: slurm
launcher: {kind: srun}
rules:
  debug: {is_chaining_allowed: false, max_array: 0, max_queued: 2}
  wide: {max_array: 10}
"""


@pytest.fixture
def found(tmp_path):
    def findings(*settings: str, site: str | None = None):
        (tmp_path / "mine.yaml").write_text(SITE)
        resolved = mantle(site or str(tmp_path / "mine.yaml"), *BATCH, *settings)
        return [str(f) for f in together_findings(resolved.job, resolved.site)]

    return findings


DEBUG = "resources.queue=debug"
SWEEP = "sweep.grid={train.seed: [1, 2, 3, 4, 5, 6], train.epochs: [1, 2]}"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((DEBUG, "chain={}"), "error: chain: queue debug lets no job hand itself in again"),
        ((DEBUG, "chain={how: presubmit, max_jobs: 3}"), "error: chain.max_jobs: found 3, all qu"),
        (("after={mantle: ok}",), "error: after.mantle: a run cannot wait for itself"),
        ((DEBUG, SWEEP, "sweep.how=array"), "error: sweep.how: found 'array', and queue debug tak"),
        (("resources.queue=wide", SWEEP), "note: sweep: 12 points; an array in queue wide has 10"),
        (
            ("launch.launcher=torchrun", "launch.comm=horovod"),
            "error: launch.comm: Horovod's ranks",
        ),
        (("launch.launcher=none",), "error: launch.launcher: found 'none' for 8 ranks"),
        (
            ("chain={how: presubmit}", "resources.directives=['--export=NONE']"),
            "error: resources.directives: found '--export=NONE', which takes away the number",
        ),
    ],
)
def test_together__on_slurm(found, settings, words):
    assert [line for line in found(*settings) if line.startswith(words)]


@pytest.mark.parametrize(
    ("site", "settings", "words"),
    [
        (
            "generic-pbs",
            ("chain={how: requeue}",),
            "'requeue', which only Slurm can, and this is p",
        ),
        (
            "generic-cobalt",
            ("after={other: any}",),
            "Cobalt can only wait for a good end; allowed:",
        ),
        ("generic-cobalt", (SWEEP, "sweep.how=array"), "found 'array', and cobalt has none; choos"),
        (
            "generic-pbs",
            ("chain={}", "resources.directives=['-v A=1']"),
            "a chained job gets its number by -v",
        ),
        ("generic-pbs", ("launch.launcher=srun",), "srun starts ranks only under slurm or local"),
        ("generic-cobalt", ("launch.launcher=ibrun",), "ibrun starts ranks only under slurm, and"),
    ],
)
def test_together__elsewhere(found, site, settings, words):
    assert [line for line in found(*settings, site=site) if words in line]


def test_together__what_fits(found):
    settings = ("resources.queue=wide", "chain={how: requeue}", "after={other: failed}")
    assert found(*settings) == []
    assert found("after={other: ok}", SWEEP, site="generic-cobalt") == []


def test_num_points__all_kinds_multiply():
    sweep = Sweep.model_validate(
        {
            "grid": {"train.seed": [1, 2], "train.epochs": [1, 2, 3]},
            "points": [{"data.workers": 0}, {"data.workers": 1}],
            "random": {"parameters": {"train.x": {"low": 0.0, "high": 1.0}}, "num_points": 5},
        }
    )
    assert num_points(sweep) == 60
