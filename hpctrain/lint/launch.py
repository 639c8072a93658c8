"""Launchers and containers."""

from __future__ import annotations

import re

from hpctrain.lint.known import GLOBAL_RANKS, LOCAL_RANKS, MASKS
from hpctrain.lint.script import LAUNCHERS, Finds, Script

_ENGINE = r"\b(singularity|apptainer)\s+(?:-\S+\s+)*(?:exec|run|shell)\b([^|;&]*)"
_CLEANING = r"(?:^|\s)(--cleanenv|--containall|-[a-zA-Z]*e[a-zA-Z]*|-[a-zA-Z]*C[a-zA-Z]*)(?=\s|=|$)"
_RANK_USE = "|".join([*GLOBAL_RANKS, *LOCAL_RANKS, *MASKS])
_FETCH = r"(?:curl|wget)\b"


def clean_environment(script: Script) -> Finds:
    """HT067."""
    has_mask = script.has(rf"\b(?:{_RANK_USE})\b")
    for line, match in script.search(_ENGINE):
        flag = re.search(_CLEANING, _options(match[2]))
        before = match.string[: match.start()]
        if flag and (has_mask or re.search(rf"\b(?:{LAUNCHERS})\b", before)):
            text = f"{flag[1]} takes the rank variables and the GPU mask away from the program"
            yield line, f"{text}; leave it out, or hand them on as APPTAINERENV_NAME"


def _options(text: str) -> str:
    """The words in front of the image; values of options are among them."""
    image = re.search(r"(?:^|\s)(?!-)\S+\.(?:sif|img|sqsh)\b", text)
    return text if image is None else text[: image.start()]


def old_prefix(script: Script) -> Finds:
    """HT068."""
    if not script.has(r"\bapptainer\b"):
        return
    for line, match in script.search(r"\bSINGULARITYENV_(\w+)"):
        text = "Apptainer warns of SINGULARITYENV_ and will drop it"
        yield line, f"{text}; write APPTAINERENV_{match[1]}"


def pmi2(script: Script) -> Finds:
    """HT069."""
    if not script.has(r"(?i)open-?mpi[/@_-]?v?5|\bompi[/@_-]?v?5"):
        return
    for line, _ in script.search(r"--mpi[= ]pmi2\b"):
        text = "Open MPI 5 knows no PMI-2, so every rank is rank 0 of 1"
        yield line, f"{text}; use srun --mpi=pmix, or mpirun"


def no_cpus(script: Script) -> Finds:
    """HT070."""
    given = script.reading.value("--cpus-per-task")
    if given in (None, "1") or script.has(r"\bSRUN_CPUS_PER_TASK="):
        return
    for command in script.running("srun"):
        is_probe = re.search(
            r"\s(?:-n\s*1|--ntasks[= ]1|hostname|--version|--mpi=list)\b", command.text
        )
        if not is_probe and not re.search(r"\s(?:-c\s*\S|--cpus-per-task)", command.text):
            text = (
                "since Slurm 22.05 srun does not take --cpus-per-task over: each rank gets one CPU"
            )
            yield command.line, f"{text}; write srun --cpus-per-task=$SLURM_CPUS_PER_TASK"


def fetched_code(script: Script) -> Finds:
    """HT086."""
    shells = r"(?:\S*/)?(?:ba|z|k|da)?sh|python[\d.]*|perl"
    piped = rf"{_FETCH}[^;\n]*\|\s*(?:sudo\s+)?(?:{shells})(?=[\s;)\"]|$)"
    substituted = rf"(?:\bsource|(?:^|[\s;&])\.|\b(?:{shells}))\s+<\(\s*{_FETCH}"
    evaluated = rf"(?:\beval|(?:{shells})\s+-c)\s+\"?(?:\$\(|`)\s*{_FETCH}"
    for line, _ in script.search(rf"{piped}|{substituted}|{evaluated}"):
        text = "code is fetched when the job runs: nodes may have no network, and it may change"
        yield line, f"{text}; fetch it once, read it, and keep it beside the script"
