"""From the directives of one scheduler to what they ask for, in no scheduler's words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hpctrain.directives.fields import Fields
from hpctrain.directives.fields_cobalt import COBALT
from hpctrain.directives.fields_pbs import PBS
from hpctrain.directives.fields_slurm import SLURM
from hpctrain.directives.model import Directive, Reading, Request
from hpctrain.directives.pbs_select import read_chunks


def request_of(reading: Reading) -> Request:
    """What a script asks for; options without a neutral form are listed in `extra`."""
    fields: Fields = {}
    extra = []
    table = {"pbs": PBS, "slurm": SLURM, "cobalt": COBALT}[reading.scheduler]
    for directive in reading.in_force.values():
        reader = table.get(directive.option)
        try:
            if reader is None:
                raise ValueError
            fields.update(reader(directive.value or ""))
        except ValueError:
            extra.append(directive)
    return replace(_finish(fields, reading), extra=tuple(extra))


def _finish(fields: Fields, reading: Reading) -> Request:
    tasks, nodes = fields.pop("tasks", None), fields.get("nodes")
    if tasks and not fields.get("ranks_per_node"):
        fields.setdefault("nodes", 1)
        fields["ranks_per_node"] = -(-tasks // (nodes or 1))
    per_task = fields.pop("cpus_per_task", None)
    if per_task:
        fields["cpus_per_node"] = per_task * (fields.get("ranks_per_node") or 1)
    gpus_per_task = fields.pop("gpus_per_task", None)
    if gpus_per_task:
        fields.setdefault("gpus_per_node", gpus_per_task * (fields.get("ranks_per_node") or 1))
    gpus = fields.pop("gpus", None)
    if gpus:
        fields.setdefault("gpus_per_node", -(-gpus // (nodes or 1)))
    if reading.scheduler == "slurm":
        fields.setdefault("has_whole_env", True)
        fields["is_joined"] = "error" not in fields
    return Request(**fields)


def unread_chunk_parts(directives: Iterable[Directive]) -> list[str]:
    """Parts of PBS chunks that no field holds, such as system=polaris."""
    parts: list[str] = []
    for directive in directives:
        if directive.option in ("-l select", "-l nodes"):
            try:
                rest = read_chunks(directive.value or "", is_select=directive.option[3] == "s")[1]
            except ValueError:
                continue
            parts += [f"{key}={value}" if value else key for key, value in rest.items()]
    return [part for part in parts if not part.startswith("mem=")]
