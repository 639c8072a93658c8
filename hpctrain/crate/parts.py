"""Folders of a crate: code, results, input files."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from hpctrain.crate.beside import add_beside
from hpctrain.crate.content import DATA, RESULTS
from hpctrain.crate.entities import add_file, media_type
from hpctrain.crate.facts import Facts

MOST_LISTED = 2000
"""So many input files are entities of their own; of more, index.csv alone lists them."""


def add_code(crate: Any, facts: Facts) -> None:
    """The folder as one entity: its files are listed with their digests in manifest.json."""
    inputs = facts.manifest.get("inputs")
    inputs = inputs if isinstance(inputs, dict) else {}
    revision = inputs.get("git_revision")
    text = f"git revision {revision}" if revision else "of no git revision"
    text += " with changes that were not committed (code/dirty.diff)" if inputs.get("dirty") else ""
    crate.add_dataset(
        dest_path="code/",
        properties={
            "@type": ["Dataset", "SoftwareSourceCode"],
            "name": "the code that ran: hpctrain and the user's own",
            "description": text,
            "version": str(revision or facts.manifest.get("version") or "unknown"),
            "identifier": f"sha256:{inputs.get('code_digest')}",
            "programmingLanguage": "Python",
        },
    )


def add_folders(crate: Any, facts: Facts, files: dict[str, Any]) -> dict[str, Any]:
    """Folders of results, with their files as parts."""
    found = {}
    for name in (*RESULTS, "checkpoints"):
        parts = [files[m.name] for m in facts.members if m.name.startswith(f"{name}/")]
        if parts:
            found[name] = crate.add_dataset(
                dest_path=f"{name}/", properties={"name": f"{name} of the run", "hasPart": parts}
            )
    return found


def add_inputs(crate: Any, facts: Facts, files: dict[str, Any]) -> list[Any]:
    """Configuration, index, and the input files: in the crate, or where they were."""
    found = [files[name] for name in ("config.yaml", "site.yaml", "index.csv") if name in files]
    listed = facts.inputs.files[:MOST_LISTED]
    if facts.data:
        parts: list[Any] = [add_file(crate, m) for m in facts.data[:MOST_LISTED]]
        identifier: dict[str, Any] = {"dest_path": f"{DATA}/"}
    else:
        uri = f"file://{quote(str(facts.inputs.root))}"
        parts = [
            crate.add_file(
                source=f"{uri}/{quote(file.name)}",
                properties={
                    "name": file.name,
                    "contentSize": str(file.size),
                    "sha256": file.sha256,
                    "encodingFormat": media_type(file.name),
                },
            )
            for file in listed
        ]
        identifier = {"source": f"{uri}/"}
    text = f"{len(facts.inputs.files)} files; index.csv lists each with its size and sha256"
    properties: dict[str, Any] = {"name": "input files", "hasPart": parts}
    card = facts.card
    if card is not None:
        text += f"; {card.path.name}: {card.title}"
        properties.update(
            {k: v for k, v in (("license", card.licence), ("isBasedOn", card.source)) if v}
        )
    properties["description"] = text
    found.append(crate.add_dataset(**identifier, properties=properties))
    found += add_beside(crate, facts.beside, facts.taken)
    origin = facts.manifest.get("resumed_from")
    if isinstance(origin, dict):
        found.append(_origin(crate, origin))
    return found


def _origin(crate: Any, origin: dict[str, Any]) -> Any:
    """The checkpoint of another run that the first start went on from, where it was."""
    name, run = str(origin.get("checkpoint")), str(origin.get("run"))
    return crate.add_file(
        source=f"file://{quote(run)}/checkpoints/{quote(name)}",
        properties={
            "name": f"{name} of {run}",
            "description": "the checkpoint of another run that this one began with",
            "sha256": str(origin.get("sha256") or "unknown"),
            "encodingFormat": media_type(name),
        },
    )
