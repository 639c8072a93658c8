"""Every shipped job on every site, and the kinds of scripts that differ beside that."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from hpctrain.config.check import check
from hpctrain.config.load import Resolved, read_job, read_site, resolve
from hpctrain.render import render
from hpctrain.render.script import SCRIPTS
from tests.jobs import REPO, inputs

JOBS = sorted(path.stem for path in (REPO / "jobs").glob("*.yaml"))
SITES = sorted(path.stem for path in (REPO / "templates" / "sites").glob("*.yaml"))

CHAIN = "chain.max_jobs=5"
OWN = str(REPO / "tests" / "golden" / "sites")
"""Machines for what no shipped one has."""
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mantle.polaris.container": ("polaris", ("container.image=hpctrain.sif",)),
    "mantle.frontier.container": ("frontier", ("container.image=hpctrain.sif",)),
    "mantle.charliecloud": (f"{OWN}/charliecloud.yaml", ("container.image=hpctrain.sqfs",)),
    "mantle.podman-hpc": (f"{OWN}/podman.yaml", ("container.image=docker://hpctrain:1",)),
    "mantle.bound": (f"{OWN}/bound.yaml", ("container.image=hpctrain.sif", CHAIN)),
    "mantle.local.chain": ("local", (CHAIN,)),
    "mantle.generic-pbs.chain": ("generic-pbs", (CHAIN,)),
    "mantle.generic-slurm.chain": ("generic-slurm", (CHAIN,)),
    "mantle.generic-cobalt.chain": ("generic-cobalt", (CHAIN,)),
    "mantle.generic-slurm.requeue": ("generic-slurm", (CHAIN, "chain.how=requeue")),
    "mantle.generic-slurm.presubmit": ("generic-slurm", (CHAIN, "chain.how=presubmit")),
    "mantle.local.torchrun": ("local", ("launch.launcher=torchrun",)),
    "mantle.frontier.torchrun": ("frontier", ("launch.launcher=torchrun",)),
    "mantle.polaris.torchrun": (
        "polaris",
        ("launch.launcher=torchrun", "container.image=hpctrain.sif"),
    ),
    "mantle.perlmutter.openmpi": ("perlmutter", ("launch.launcher=openmpi",)),
    "mantle.polaris.staged": (
        "polaris",
        ("data.stage=node_local", "container.image=hpctrain.sif", CHAIN),
    ),
    "mantle.generic-slurm.staged": (
        "generic-slurm",
        ("data.stage=node_local", "data.stage_dir=$TMPDIR"),
    ),
    "mantle.derecho.premium": (
        "derecho",
        ("resources.priority=premium", "resources.memory_gb_per_node=480"),
    ),
    "mantle.vista.gg": ("vista", ("resources.queue=gg", "resources.gpus_per_rank=0")),
}
"""Name to site and settings."""

CASES = {
    **{f"{job}.{site}": (job, site, ()) for job in JOBS for site in SITES},
    **{name: (name.split(".")[0], site, more) for name, (site, more) in VARIANTS.items()},
}
"""Name to job, site and settings."""


def shape(site_name: str) -> tuple[str, ...]:
    """Settings that fill two nodes of a site, or the ranks of a workstation."""
    if site_name == "local":
        return ("resources.ranks_per_node=2", "resources.gpus_per_rank=0")
    site, _ = read_site(site_name)
    gpus = 1 if site.mask_variable and site.num_gpus != 0 else 0
    ranks = site.num_gpus or 4
    cpus = min(8, (site.cpus_per_node or 64) // ranks)
    return (
        "resources.nodes=2",
        "resources.account=Project1",
        'resources.walltime="00:30:00"',
        f"resources.ranks_per_node={ranks}",
        f"resources.gpus_per_rank={gpus}",
        f"resources.cpus_per_rank={cpus}",
        f"train.global_batch_size={2 * ranks}",
    )


@cache
def resolved(case: str) -> Resolved:
    """The job of a case, as `render` would have it; it fits its site."""
    job, site, more = CASES[case]
    draft = read_job(Path(f"jobs/{job}.yaml"), (*shape(site), *more), REPO)
    found = resolve(draft, site)
    check(found.job, found.site)
    return found


@cache
def scripts(case: str) -> dict[str, str]:
    """Golden name to text: the run script, and where it is a site's plain one also rank.sh."""
    job, site, _ = CASES[case]
    found = resolved(case)
    files = render(found.job, found.site, inputs(run_dir=f"/home/user/jobs/{job}"))
    texts = {f"{case}.sh": files[SCRIPTS[found.site.scheduler]].content.decode()}
    if case == f"{JOBS[0]}.{site}":
        texts[f"rank.{site}.sh"] = files["rank.sh"].content.decode()
    return texts
