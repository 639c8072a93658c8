"""Does a job fit a site?"""

import pytest

from hpctrain.config.check import check
from hpctrain.errors import ConfigError
from tests.jobs import BATCH, mantle


def faults(site: str, *settings: str) -> str:
    resolved = mantle(site, *settings)
    with pytest.raises(ConfigError) as info:
        check(resolved.job, resolved.site)
    return str(info.value)


def test_check__fits():
    resolved = mantle("polaris", *BATCH, "resources.gpus_per_rank=1")
    assert check(resolved.job, resolved.site) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("resources.gpus_per_rank=2", "= 8, and a node has 4 gpus; ranks_per_node: 2 fits"),
        ("resources.cpus_per_rank=32", "= 128, and a node has 64 cpus; ranks_per_node: 2 fits"),
        ("resources.account=null", "resources.account: is missing"),
        ("resources.filesystems=[]", "resources.filesystems: is missing"),
        ("resources.queue=debgu", "unknown queue 'debgu'; choose from debug,"),
        (
            "resources.walltime=02:00:00",
            "not possible in queue debug; allowed: 1 to 2 nodes up to 01:00:00",
        ),
        ("resources.queue=prod", "10 to 24 nodes up to 03:00:00; 25 to 99 nodes up to 06"),
    ],
)
def test_check__polaris(setting, message):
    assert message in faults("polaris", *BATCH, setting)


def test_check__all_faults_at_once():
    found = faults("polaris", *BATCH, "resources.account=null", "resources.gpus_per_rank=2")
    assert len(found.splitlines()) == 2


def test_check__one_machine_has_one_node():
    settings = ("resources.nodes=2", "train.global_batch_size=8")
    assert "resources.nodes: found 2; allowed: 1 or fewer" in faults("local", *settings)


def test_check__unknown_file_system():
    assert "unknown eagel; choose from home" in faults(
        "thetagpu", *BATCH, "resources.filesystems=[eagel]"
    )


def test_check__values_without_effect_are_named():
    resolved = mantle("local", "resources.queue=debug", "resources.filesystems=[home]")
    notes = check(resolved.job, resolved.site)
    assert notes == [
        "resources.queue has no effect on site local",
        "resources.filesystems has no effect on site local",
    ]
