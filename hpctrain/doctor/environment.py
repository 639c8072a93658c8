"""Variables of this shell that get in the way of a job, and those worth knowing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from hpctrain.doctor.secret import Masker, is_secret
from hpctrain.doctor.topic import Topic

_RANK = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "PALS_RANKID", "MV2_COMM_WORLD_RANK")
_TORCHRUN = ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
_OWN = ("HPCTRAIN_RANK", "HPCTRAIN_WORLD_SIZE", "HPCTRAIN_LOCAL_RANK", "HPCTRAIN_LOCAL_SIZE")
_HARMFUL_HOROVOD = ("HOROVOD_CONTROLLER", "HOROVOD_CPU_OPERATIONS", "HOROVOD_RANK", "HOROVOD_SIZE")
_MPI_MODULES = {
    "Open MPI": r"^(openmpi|ompi|hpcx)",
    "MPICH": r"^(mpich|cray-mpich|impi|intel-?mpi|mvapich)",
}
_TELLING = re.compile(
    r"^(HOROVOD|NCCL|RCCL|GLOO|OMPI_MCA|PRTE_MCA|PMIX_MCA|UCX|FI|MPICH|MV2|I_MPI|TORCH|OMP|MKL"
    r"|KMP|APPTAINERENV|SINGULARITYENV|APPTAINER|SINGULARITY|MPI4PY|XDG_CACHE_HOME"
    r"|XDG_CONFIG_HOME|TMPDIR)(_|$)|_PROXY$",
    re.IGNORECASE,
)


def environment_topic(env: Mapping[str, str], masker: Masker, *, is_in_job: bool) -> Topic:
    """What of the environment hurts, and what is set; values of secret names are masked."""
    topic = Topic("environment")
    _ranks(topic, env)
    _horovod(topic, env, masker)
    _loading(topic, env, masker)
    _modules(topic, env)
    shown = {name: masker.value(name, env[name]) for name in sorted(env) if _TELLING.search(name)}
    topic.facts["set"] = shown
    topic.facts["secret"] = sorted(name for name in env if is_secret(name))
    topic.facts["is_in_job"] = is_in_job
    if shown:
        words = ", ".join(f"{k}={_cut(v)}" for k, v in shown.items() if "proxy" not in k.lower())
        topic.note("variables", words or ", ".join(shown))
    if topic.facts["secret"]:
        names = topic.facts["secret"]
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        topic.ok("secrets", f"{', '.join(names[:4])}{more}: set, and never shown")
    if not any(line.severity in ("warning", "error") for line in topic.lines):
        topic.ok("environment", "nothing in it that would mislead ranks")
    return topic


def _ranks(topic: Topic, env: Mapping[str, str]) -> None:
    launched = [name for name in _RANK if name in env]
    if launched:
        topic.error(
            launched[0],
            "is set: this shell is a rank itself; a launcher within a launcher starts strangers",
            "call doctor from the job's script or an interactive shell, without srun or mpirun",
        )
    own = [name for name in _OWN if name in env]
    if own:
        topic.warning(
            ", ".join(own), "is set, which rank.sh alone may set", f"unset {' '.join(own)}"
        )
    if env.get("HPCTRAIN_LAUNCHER"):
        text = f"is {env['HPCTRAIN_LAUNCHER']!r}: a rank started by hand believes to be alone"
        topic.warning("HPCTRAIN_LAUNCHER", text, "unset HPCTRAIN_LAUNCHER")
    if all(env.get(name) for name in _TORCHRUN):
        text = "are set: where a launcher tells nothing, ranks are taken for those of torchrun"
        topic.warning("MASTER_ADDR ...", text, f"unset {' '.join(_TORCHRUN)}")
    plain = [name for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK") if name in env]
    if plain:
        text = f"set here ({', '.join(f'{name}={env[name]}' for name in plain)}); other programs "
        remedy = f"unset {' '.join(plain)}"
        topic.warning("WORLD_SIZE ...", f"{text}believe them, rank.sh sets them anew", remedy)


def _horovod(topic: Topic, env: Mapping[str, str], masker: Masker) -> None:
    for name in _HARMFUL_HOROVOD:
        if name in env:
            topic.warning(
                name,
                f"={masker.value(name, env[name])} takes Horovod away from the launcher's MPI",
                f"unset {name}",
            )


def _loading(topic: Topic, env: Mapping[str, str], masker: Masker) -> None:
    if env.get("LD_PRELOAD"):
        topic.warning(
            "LD_PRELOAD",
            f"{masker.text(env['LD_PRELOAD'])} goes into every program, also of a container",
            "unset LD_PRELOAD, unless the site's MPI needs it",
        )
    found = [str(lib) for lib in _mpi_libraries(env.get("LD_LIBRARY_PATH", ""))]
    topic.facts["libmpi_in_LD_LIBRARY_PATH"] = found
    if len(found) > 1:
        topic.warning(
            "LD_LIBRARY_PATH",
            f"has several MPI: {', '.join(found[:3])}; the first one is loaded",
            "unload the modules of all but the one that starts the job",
        )
    if env.get("PYTHONHOME"):
        topic.warning("PYTHONHOME", "takes every Python's own packages away", "unset PYTHONHOME")
    if env.get("PYTHONPATH"):
        topic.note(
            "PYTHONPATH",
            f"{masker.text(env['PYTHONPATH'])} comes before what is installed, in the ranks too",
        )


def _mpi_libraries(text: str) -> list[Path]:
    folders = [Path(folder) for folder in dict.fromkeys(text.split(":")) if folder]
    return [next(iter(found)) for f in folders if (found := sorted(f.glob("libmpi.so.*")))]


def _modules(topic: Topic, env: Mapping[str, str]) -> None:
    loaded = [name for name in env.get("LOADEDMODULES", "").split(":") if name]
    topic.facts["modules"] = loaded
    mpi = [name for pattern in _MPI_MODULES.values() for name in loaded if re.match(pattern, name)]
    if len(mpi) > 1:
        text = f"{' and '.join(mpi)} are loaded, and only one MPI can start the job"
        topic.warning("modules", text, "module unload all but the one the programs were built with")
    elif loaded:
        more = f" and {len(loaded) - 8} more" if len(loaded) > 8 else ""
        topic.ok("modules", f"{', '.join(loaded[:8])}{more}")


def _cut(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:37]}..."
