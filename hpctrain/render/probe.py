"""Scripts that start another program as a run would start its training, for `hpctrain doctor`.

Environment, launcher, rank.sh and container are those of the run script, by the same functions:
what the doctor sees of the ranks is what the training will see.
"""

from __future__ import annotations

from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.launchers import Launcher
from hpctrain.render.command import command_lines, image_words, rank_variables
from hpctrain.render.image import SCRIPT as IMAGE_SCRIPT
from hpctrain.render.image import needs_script
from hpctrain.render.inputs import Inputs
from hpctrain.render.paths import refuse_separators
from hpctrain.render.script import (
    choose_launcher,
    context,
    needs_pbs_rsh,
    rank_script,
)
from hpctrain.render.shell import fill, pack

PROBE = "hpctrain.probe"
"""Program of the ranks."""


def probe_files(
    job: Job, site: Site, inputs: Inputs, host_python: str, limit_s: int
) -> dict[str, str]:
    """Scripts of a probe, by name.

    `launch.sh` starts the ranks. `look.sh` and `host.sh` start one Python in the same environment,
    the job's own in its container and `host_python` outside of it; both read their program from
    standard input, and host.sh hands the launcher's name on to it.

    Args:
        job: with absolute paths, and the resources that are to be used.
        site: the site.
        inputs: of the folder where the scripts will be.
        host_python: an interpreter of this host.
        limit_s: how long the ranks may take.

    Raises:
        RenderError: a value cannot be written safely.
    """
    refuse_separators(job, inputs.run_dir)
    launcher = choose_launcher(job, site)
    common = context(job, site, inputs)
    common |= {"limit_s": limit_s, "needs_pbs_rsh": needs_pbs_rsh(job, site)}
    image, _ = image_words(job, site, rank_variables(job, site))
    lines = {
        "launch.sh": command_lines(job, site, inputs, launcher, [PROBE]),
        "host.sh": pack([host_python, "-", *_programs(launcher)]),
        "look.sh": [*image, *pack([_python(job, inputs), "-"])],
    }
    files = {
        name: fill("schedulers/probe.sh.j2", {**common, "command_lines": words})
        for name, words in lines.items()
    }
    files["rank.sh"] = rank_script(job, site)
    if needs_script(job, site):
        files[IMAGE_SCRIPT] = fill("schedulers/image.sh.j2", {})
    if needs_pbs_rsh(job, site):
        files["pbs_rsh.sh"] = fill("schedulers/pbs_rsh.sh.j2", {})
    return files


def _programs(launcher: Launcher) -> list[str]:
    """Launchers that are looked for: the one that is used, and those it may be mistaken for."""
    own = launcher.spec.command or launcher.program
    return list(dict.fromkeys([*([own] if own else []), "mpirun", "mpiexec"]))


def _python(job: Job, inputs: Inputs) -> str:
    return "python3" if job.container and not job.launch.python else inputs.python
