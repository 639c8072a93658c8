"""README.md of a crate: what is in it, and how to run it again."""

from __future__ import annotations

from hpctrain.crate.beside import name_of
from hpctrain.crate.facts import Facts


def readme(facts: Facts) -> bytes:
    """The page, as UTF-8."""
    counts: dict[str, int] = {}
    for member in facts.members:
        counts[member.kind] = counts.get(member.kind, 0) + 1
    data = (
        f"The {len(facts.data)} input files are in `data/`."
        if facts.data
        else f"The {len(facts.inputs.files)} input files are not in here: `index.csv` lists each "
        "with its size and sha256."
    )
    lines = [
        f"# {facts.name}",
        "",
        "A training by hpctrain, as a Workflow Run RO-Crate: `ro-crate-metadata.json` says in",
        "JSON-LD what every file is, what was run, when, where and on what.",
        "",
        f"- `{facts.script}`: what the batch system ran; `rank.sh`: what it started once per rank",
        "- `config.yaml`, `site.yaml`: all values of the job, and the machine's profile",
        "- `code/`: the code that ran; `code/SOURCE.json` says which revision",
        "- `index.csv`, `index.json`: the input files",
        "- `manifest.json`: digests of all that was rendered, and the starts of the training",
        f"- results: {counts.get('checkpoint', 0)} checkpoints, {counts.get('result', 0)} files in "
        "`eval/`, `tensorboard/` and `logs/`",
        "",
        data,
        *_beside(facts),
        "",
        "To render the same job on another machine, and see what differs there:",
        "",
        "    hpctrain reproduce THIS_CRATE" + ("" if facts.data else " --data-root FOLDER"),
        "",
        f"Licence: {facts.licence}",
        "",
    ]
    return "\n".join(lines).encode()


def _beside(facts: Facts) -> list[str]:
    """Files that are not in the index: where each is."""
    lines = []
    for file in facts.beside:
        name = name_of(file)
        is_in = any(m.name == name for m in (*facts.data, *facts.taken))
        place = f"is `{name}`" if is_in else f"was {file.path}"
        lines += ["", f"The file of `{file.key}`, which the index does not list, {place}."]
    return lines
