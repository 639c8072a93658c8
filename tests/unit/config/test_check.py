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
            "found 2 nodes for 02:00:00 in queue debug; 2 nodes in debug allow 01:00:00 at most; "
            "queues preemptable, capacity take it as it is",
        ),
        (
            "resources.queue=prod",
            "prod takes 10 to 496 nodes; 10 nodes allow 03:00:00; queues debug,",
        ),
        ("resources.priority=high", "site polaris has no priority classes; leave it out"),
        ("resources.directives=['-l select=9']", "has -l select already, and PBS takes the first"),
    ],
)
def test_check__polaris(setting, message):
    assert message in faults("polaris", *BATCH, setting)


@pytest.mark.parametrize("site", ["thetagpu", "generic-cobalt"])
def test_check__cobalt_refuses_very_short_jobs(site):
    found = faults(site, *BATCH, "resources.walltime=00:04:00")
    assert "resources.walltime: found 00:04:00; allowed: 00:05:00 or more" in found
    resolved = mantle(site, *BATCH, "resources.walltime=00:05:00")
    check(resolved.job, resolved.site)


def test_check__shortest_walltime_of_a_queue(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\nqueues:\n"
        '  q: [{nodes: [1, 4], min_walltime: "00:30:00", walltime: "03:00:00"}]\n'
    )
    site, queue = str(tmp_path / "mine.yaml"), "resources.queue=q"
    found = faults(site, *BATCH, queue, "resources.walltime=00:29:00")
    assert found.endswith("2 nodes in q allow 00:30:00 or more")
    check((fits := mantle(site, *BATCH, queue)).job, fits.site)


def test_check__perlmutters_debug_queue_and_others_that_are_not_known():
    found = faults("perlmutter", *BATCH)
    assert found.endswith("in queue debug; 2 nodes in debug allow 00:30:00 at most")
    resolved = mantle("perlmutter", *BATCH, "resources.queue=regular")
    assert check(resolved.job, resolved.site) == []


def test_check__gpus_as_the_order_names_them(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\ngpu_order: [1, 0]\n"
    )
    found = faults(str(tmp_path / "mine.yaml"), *BATCH, "resources.gpus_per_rank=1")
    assert "= 4, and a node has 2 gpus; ranks_per_node: 2 fits" in found


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
        "resources.queue: has no effect on site local",
        "resources.filesystems: has no effect on site local",
    ]


def test_check__a_warning_time_that_is_cut():
    resolved = mantle("generic-slurm", "launch.warning_s=3000")
    assert check(resolved.job, resolved.site) == [
        "launch.warning_s: found 3000; a quarter of the walltime, 900, is taken instead"
    ]


def test_check__priorities_of_the_site(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ntitle: x\nscheduler: pbs\nlauncher: {kind: pals}\n"
        "directives: {priority: '-l job_priority='}\npriorities: {economy: 0.7, premium: 1.5}\n"
    )
    site = str(tmp_path / "mine.yaml")
    assert "choose from economy, premium" in faults(site, *BATCH, "resources.priority=high")
    fits = mantle(site, *BATCH, "resources.priority=premium")
    assert check(fits.job, fits.site) == []


def test_check__intel_gpus_are_not_used(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "name: mine\ntitle: x\nscheduler: pbs\nlauncher: {kind: pals}\ngpus_per_node: 12\n"
        "mask_variable: ZE_AFFINITY_MASK\n"
    )
    resolved = mantle(str(tmp_path / "mine.yaml"), *BATCH, "resources.gpus_per_rank=1")
    (text,) = check(resolved.job, resolved.site)
    assert "knows no Intel GPUs" in text


def test_check__memory_where_no_option_takes_it():
    resolved = mantle("generic-slurm", "resources.memory_gb_per_node=4")
    (text,) = check(resolved.job, resolved.site)
    assert text == "resources.memory_gb_per_node: has no effect on site generic-slurm"
