"""Step limits, and the nearest legal choices in the message."""

import pytest

from hpctrain.config.limits import queue_findings
from tests.jobs import mantle

POLARIS = ("resources.account=P1", "resources.ranks_per_node=4", "resources.filesystems=[home]")


def message(*settings: str, site: str = "polaris") -> str:
    resolved = mantle(site, *POLARIS, *settings)
    return "\n".join(f.text for f in queue_findings(resolved.job, resolved.site))


def asked(queue: str, nodes: int, walltime: str) -> tuple[str, ...]:
    batch = f"train.global_batch_size={4 * nodes}"
    return (
        f"resources.queue={queue}",
        f"resources.nodes={nodes}",
        f"resources.walltime={walltime}",
        batch,
    )


def test_queue__the_nearest_legal_choices():
    assert message(*asked("prod", 10, "04:00:00")) == (
        "found 10 nodes for 04:00:00 in queue prod; 10 nodes in prod allow 03:00:00 at most; "
        "25 nodes allow 06:00:00; queue preemptable takes it as it is"
    )


@pytest.mark.parametrize(
    ("queue", "nodes", "walltime", "words"),
    [
        ("prod", 25, "06:00:01", "25 nodes in prod allow 06:00:00 at most; 100 nodes allow 24"),
        ("prod", 120, "30:00:00", "120 nodes in prod allow 24:00:00 at most"),
        ("prod", 500, "01:00:00", "prod takes 10 to 496 nodes; 496 nodes allow 24:00:00"),
        (
            "debug",
            3,
            "00:30:00",
            "debug takes 1 to 2 nodes; 2 nodes allow 01:00:00; queues debug-s",
        ),
        ("debug", 1, "02:00:00", "1 node in debug allows 01:00:00 at most; queues preemptable, ca"),
    ],
)
def test_queue__what_is_named(queue, nodes, walltime, words):
    assert words in message(*asked(queue, nodes, walltime))


@pytest.mark.parametrize(
    ("queue", "nodes", "walltime"),
    [("prod", 10, "03:00:00"), ("prod", 24, "03:00:00"), ("prod", 496, "24:00:00")],
)
def test_queue__the_limits_themselves_are_legal(queue, nodes, walltime):
    assert message(*asked(queue, nodes, walltime)) == ""


def test_queue__others_with_other_nodes_are_not_offered(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\nqueues:\n"
        '  a: [{nodes: [1, 1], walltime: "01:00:00"}]\n'
        '  b: [{nodes: [1, 4], walltime: "01:00:00"}]\n'
        '  c: [{nodes: [1, 4], walltime: "01:00:00"}]\n'
        "rules: {b: {gpus_per_node: 0}}\n"
    )
    found = message(*asked("a", 2, "01:00:00"), site=str(tmp_path / "mine.yaml"))
    assert found.endswith("a takes 1 nodes; 1 node allows 01:00:00; queue c takes it as it is")
