"""Variables that do not hold what the author thinks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from hpctrain.lint.known import KNOWN, PREFIXES
from hpctrain.lint.script import Finds, Script

_USE = re.compile(r"\$\{?(\w+)(:?[-=+?])?|(?:environ\.get\(|getenv\(|environ\[)\s*['\"](\w+)")
_LEADS = {"pbs": "PBS_", "slurm": "SLURM_", "cobalt": "COBALT_"}
_COUNTED = r"(?:PBS|COBALT)_NODEFILE[^;\n]*?\bwc\s+-l|\bwc\s+-l[^;|\n]*(?:PBS|COBALT)_NODEFILE"


def _uses(script: Script) -> Iterator[tuple[int, str, bool]]:
    """Line, variable, and whether a default stands by; here-documents and Python included."""
    own = set(re.findall(r"(?:^|[\s;(])(\w+)=", script.text))
    for item in script.code:
        for match in _USE.finditer(item.text):
            name = match[1] or match[3]
            if name not in own:
                line = item.line + item.text[: match.start()].count("\n")
                yield line, name, bool(match[2])


def misspelled(script: Script) -> Finds:
    """HT062."""
    seen = set()
    for line, name, _ in _uses(script):
        if name in KNOWN or name in seen or not name.startswith(tuple(PREFIXES)):
            continue
        seen.add(name)
        near = _nearest(name)
        if near:
            yield line, f"nothing sets {name}, so it is empty; did you mean {near}"


def _nearest(name: str) -> str | None:
    letters = {known.replace("_", ""): known for known in KNOWN}
    if name.replace("_", "") in letters:
        return letters[name.replace("_", "")]
    lead = max((p for p in PREFIXES if name.startswith(p)), key=len)
    family = [known for known in KNOWN if known.startswith(lead)]
    found = difflib.get_close_matches(name, family, 1, 0.9)
    return found[0] if found else None


def foreign(script: Script) -> Finds:
    """HT063."""
    assert script.scheduler is not None
    ours, seen = _LEADS[script.scheduler], set()
    for line, name, has_default in _uses(script):
        lead = next((lead for lead in _LEADS.values() if name.startswith(lead)), ours)
        if lead == ours or has_default or name in seen or name not in KNOWN:
            continue
        seen.add(name)
        text = f"{name} is another scheduler's variable and empty here"
        yield line, f"{text}; use one of {ours}*, or convert the script: hpctrain convert"


def nodefile_lines(script: Script) -> Finds:
    """HT060."""
    for item in script.shell:
        match = re.search(_COUNTED, item.text)
        if match is None or re.search(r"\b(?:sort\s+-u|uniq|sort\s+--unique)\b", item.text):
            continue
        if _may_be_ranks(item.text) or script.request.ranks_per_node == 1:
            continue
        text = "the node file has a line for each mpiproc, so this counts ranks and not nodes"
        yield item.line, f'{text}; write sort -u "$PBS_NODEFILE" | wc -l'


def _may_be_ranks(text: str) -> bool:
    name = re.match(r"\s*(?:export\s+|local\s+)?(\w+)=", text)
    return name is not None and bool(
        re.search(r"(?i)rank|proc|task|^np$|slot|size|cpu|core", name[1])
    )


def node_rank(script: Script) -> Finds:
    """HT061."""
    for item in script.code:
        if "OMPI_COMM_WORLD_NODE_RANK" in item.text:
            text = (
                "OMPI_COMM_WORLD_NODE_RANK is a process's place on its node, not the node's index"
            )
            yield item.line, f"{text}; use OMPI_COMM_WORLD_RANK / OMPI_COMM_WORLD_LOCAL_SIZE"
