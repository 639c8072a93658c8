"""Which rank sees which GPU."""

from __future__ import annotations

import re

from hpctrain.lint.known import GLOBAL_RANKS, LOCAL_RANKS, MASKS
from hpctrain.lint.script import LAUNCHERS, Finds, Script

_MASK = "|".join(MASKS)
_VALUE = rf"\b({_MASK})=(\$\(\([^\n]*?\)\)|\"[^\"\n]*\"|\S*)"
_GLOBAL = re.compile(rf"\b({'|'.join(GLOBAL_RANKS)})\b")
_LOCAL = re.compile(rf"\b({'|'.join(LOCAL_RANKS)})\b")


def from_global_rank(script: Script) -> Finds:
    """HT064."""
    for item in script.code:
        for match in re.finditer(_VALUE, item.text):
            rank = _GLOBAL.search(match[2])
            if rank and not _LOCAL.search(match[2]):
                text = f"{match[1]} is made from {rank[1]}, which counts over all nodes"
                yield item.line, f"{text}; use the local rank, such as {_local(rank[1])}"


def _local(rank: str) -> str:
    pairs = dict(zip(GLOBAL_RANKS[:3], LOCAL_RANKS[:3], strict=True))
    pairs |= {"SLURM_PROCID": "SLURM_LOCALID", "PALS_RANKID": "PALS_LOCAL_RANKID"}
    return pairs.get(rank, "LOCAL_RANK")


def inside_program(script: Script) -> Finds:
    """HT065."""
    pattern = (
        rf"environ(?:\[\s*['\"](?:{_MASK})['\"]\s*\]\s*=(?!=)|\.setdefault\(\s*['\"](?:{_MASK}))"
    )
    for item in script.code:
        for match in re.finditer(rf"{pattern}|\bputenv\(\s*['\"](?:{_MASK})", item.text):
            line = item.line + item.text[: match.start()].count("\n")
            text = (
                "the program limits its GPUs after it has started, when MPI or CUDA may have begun"
            )
            yield line, f"{text}; set the mask in a wrapper that the launcher starts once a rank"


def in_batch_shell(script: Script) -> Finds:
    """HT066."""
    for item in script.shell:
        if re.search(rf"\b(?:{LAUNCHERS}|bash\s+-c|sh\s+-c)\b", item.text):
            continue
        for match in re.finditer(_VALUE, item.text):
            rank = _LOCAL.search(match[2])
            if rank:
                text = (
                    f"{rank[1]} is no rank's here: the batch shell runs once, before the launcher"
                )
                yield item.line, f"{text}; set the mask in a wrapper that the launcher starts"
