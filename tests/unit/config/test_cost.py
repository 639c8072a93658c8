"""Node-hours and charge, with the factors of real machines."""

import pytest

from hpctrain.config.cost import cost, lines
from tests.jobs import mantle

FREE = "name: free\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"
BATCH = (
    *("resources.nodes=2", "resources.ranks_per_node=4", "resources.account=a"),
    *("train.global_batch_size=8", "resources.walltime=03:00:00"),
)


def found(site: str, *settings: str):
    resolved = mantle(site, *BATCH, *settings)
    return cost(resolved.job, resolved.site), resolved


@pytest.mark.parametrize(
    ("settings", "charge"),
    [
        ((), 24.0),
        (("resources.priority=premium",), 36.0),
        (("resources.priority=economy",), 16.8),
        (("resources.queue=preempt",), 4.8),
        (("resources.queue=preempt", "resources.priority=premium"), 7.2),
    ],
)
def test_cost__derechos_factors(settings, charge):
    """NCAR: whole GPU nodes are 4 GPU-hours an hour; preempt costs a fifth, premium half more."""
    result, _ = found("derecho", *settings)
    assert result.node_hours == 6
    assert result.charge == pytest.approx(charge)
    assert result.unit == "GPU-hours"


def test_cost__thetas_least_size():
    """ALCF: smaller jobs on Theta were charged for 128 nodes."""
    result, resolved = found("theta", "resources.queue=default")
    assert (result.node_hours, result.charge) == (6, 384)
    text = lines(result, resolved.job, resolved.site)
    assert "charged for 128 nodes, the least that this site charges" in text[1]
    assert text[2].endswith("128 nodes x 3 h = 384 node-hours")


def test_cost__a_chain_and_a_sweep():
    sweep = "sweep.grid={train.seed: [1, 2, 3]}"
    result, resolved = found("derecho", "chain.max_jobs=5", sweep)
    assert (result.jobs, result.runs, result.total) == (5, 3, 360)
    assert lines(result, resolved.job, resolved.site)[-1] == (
        "  in all, at most: 24 x 5 jobs of the chain x 3 points = 360 GPU-hours"
    )


def test_cost__an_ensemble_shares_its_walltime():
    result, _ = found(
        "derecho", "sweep={grid: {train.seed: [1, 2, 3]}, how: ensemble, max_running: 2}"
    )
    assert result.runs == 2


def test_cost__what_is_not_known_is_said(tmp_path):
    (tmp_path / "free.yaml").write_text(FREE)
    result, resolved = found(str(tmp_path / "free.yaml"), "resources.priority=high")
    assert result.charge == result.node_hours == 6
    text = "\n".join(lines(result, resolved.job, resolved.site))
    assert "not known: what the site charges" in text
    assert "not known: what priority high multiplies the charge by" in text


def test_cost__nodes_that_are_shared():
    result, _ = found("derecho", "resources.queue=develop")
    assert result.unknown[0].startswith("what part of a node is charged where jobs share nodes")
    assert found("derecho")[0].unknown == ()


def test_cost__for_programs_is_the_same():
    result, _ = found("derecho", "chain.max_jobs=5")
    page = result.as_dict()
    assert page["total_charge"] == result.total == 120
    assert page["factors"] == {"GPU-hours a node-hour": 4.0}
