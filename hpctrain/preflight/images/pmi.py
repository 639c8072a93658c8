"""How ranks find each other: the launcher's PMI against the image's MPI.

Where they do not fit, every rank is rank 0 of 1 (apptainer/singularity 5131, 3678).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hpctrain.config.finding import Finding, error, warning
from hpctrain.config.site import LauncherSpec
from hpctrain.launchers.srun import asked_plugin
from hpctrain.preflight.images.facts import ImageFacts
from hpctrain.preflight.images.host import HostFacts
from hpctrain.preflight.images.libraries import number

_FITTING = {
    "openmpi": ("pmix",),
    "pals": ("pmi1", "pmi2", "cray"),
    "hydra": ("pmi1", "pmi2"),
    "aprun": ("pmi1", "pmi2", "cray"),
}
"""Launcher to the process-management interfaces by which its ranks find each other."""
_SRUN = {"pmi2": ("pmi1", "pmi2"), "cray_shasta": ("pmi1", "pmi2", "cray"), "none": ()}
_ALONE = "every rank would be rank 0 of 1"


def pmi_findings(
    image: ImageFacts,
    host: HostFacts | None,
    launcher: LauncherSpec,
    env: Mapping[str, str],
    where: str,
    *,
    is_needed: bool,
) -> Iterator[Finding]:
    """Compare them.

    Args:
        image: of the image.
        host: of this host; None: it says nothing.
        launcher: what starts the ranks.
        env: variables that site and job set for it.
        where: what findings are about.
        is_needed: whether ranks cannot do without MPI.
    """
    say = error if is_needed else warning
    if launcher.kind != "srun":
        fitting = _FITTING.get(launcher.kind, ())
        if image.pmi and fitting and not set(image.pmi) & set(fitting):
            yield say(where, _misfit(image, launcher.kind, fitting) + "; build it for this site")
        return
    asked, told = asked_plugin(launcher.args, env)
    plugins = host.plugins if host else ()
    if asked and plugins and asked not in plugins:
        text = f"{told} is not among what srun offers here ({', '.join(plugins)})"
        yield error("launcher", f"{text}; choose another, by --mpi= in launcher.args of the site")
        return
    taken = asked or (host.default_plugin if host else "")
    if not taken or not image.pmi:
        return
    fitting = fitting_srun(taken)
    if not set(image.pmi) & set(fitting):
        named = f"srun {told}" if told.startswith("-") else f"srun with {told}"
        name = named if asked else f"srun without --mpi (here: {taken})"
        advice = _advice(image, plugins)
        yield say(where, f"{_misfit(image, name, fitting)}; {advice}")
    elif "pmix" in fitting:
        yield from _versions(image, taken, plugins, where)


def fitting_srun(plugin: str) -> tuple[str, ...]:
    """Interfaces of one of srun's plugins."""
    return ("pmix",) if plugin.startswith("pmix") else _SRUN.get(plugin, ())


def interfaces_of(version: str, *, has_pmix: bool) -> tuple[str, ...]:
    """Interfaces that an MPI library knows, as `probe.py` says inside an image.

    Args:
        version: what MPI_Get_library_version says.
        has_pmix: whether libpmix came along when it was loaded.
    """
    if "Open MPI" in version:
        return ("pmix",)
    return (*["pmix"] * has_pmix, *(["cray"] if "CRAY" in version else ["pmi1", "pmi2"]))


def _misfit(image: ImageFacts, launcher: str, fitting: tuple[str, ...]) -> str:
    own = " or ".join(image.pmi)
    offered = f"offers {' or '.join(fitting)}" if fitting else "offers none"
    return f"its MPI starts by {own}, and {launcher} {offered}: {_ALONE}"


def _advice(image: ImageFacts, plugins: tuple[str, ...]) -> str:
    fits = [name for name in plugins if set(image.pmi) & set(fitting_srun(name))]
    if fits:
        return f"set launcher.args of the site to ['--mpi={fits[0]}']"
    if plugins:
        return (
            "srun here has none that fits; start by mpirun (launch.launcher: openmpi), or build it"
        )
    return "choose a --mpi= in launcher.args of the site that `srun --mpi=list` shows and that fits"


def _versions(
    image: ImageFacts, taken: str, plugins: tuple[str, ...], where: str
) -> Iterator[Finding]:
    """PMIx of srun, by the name of its plugin, against the image's."""
    numbered = [name for name in (taken, *plugins) if name.startswith("pmix_v")]
    offered = [int(name[6:]) for name in numbered if name[6:].isdigit()]
    if not image.pmix or not offered:
        return
    own, theirs = number(image.pmix)[0], offered[0]
    if min(own, theirs) < 3 <= max(own, theirs):
        # the first wire protocols; 3, 4 and 5 were seen to start each other's ranks
        text = f"holds PMIx {image.pmix}, and srun's is {theirs}"
        yield error(where, f"{text}, which do not understand each other; build it with PMIx 3 or 4")
