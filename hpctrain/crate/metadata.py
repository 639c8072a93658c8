"""ro-crate-metadata.json: the run in the words of Workflow Run Crate 0.5.

Of the three profiles of Workflow Run RO-Crate (https://w3id.org/ro/wfrun) the one in the middle
fits: the run script is a workflow that is executed as a whole, once a launch; its steps are those
of a training and not tools of their own, which the Provenance profile would want to see.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hpctrain.crate.actions import add_actions
from hpctrain.crate.content import DATA, RESULTS, Member
from hpctrain.errors import ConfigError
from hpctrain.provenance.run import launches_of, run_id
from hpctrain.run_state import finite
from hpctrain.trace.card import Card
from hpctrain.trace.inputs import Inputs

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
_TERMS = "https://w3id.org/ro/terms/workflow-run#"
_EXTRA = ("ContainerImage", "SIFImage", "containerImage", "registry", "sha256")
_FORMATS = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".yaml": "application/yaml",
    ".csv": "text/csv",
    ".html": "text/html",
    ".png": "image/png",
    ".pt": "application/zip",
    ".sh": "application/x-sh",
    ".def": "text/plain",
    ".log": "text/plain",
    ".nc": "application/netcdf",
    ".h5": "application/x-hdf5",
}
MOST_LISTED = 2000
"""So many input files are entities of their own; of more, index.csv alone lists them."""


@dataclass(frozen=True)
class Author:
    """Who made a crate; `orcid` is a URL."""

    name: str
    orcid: str | None = None
    email: str | None = None


@dataclass(frozen=True)
class Facts:
    """All that the metadata are made from."""

    run_dir: Path
    manifest: dict[str, Any]
    state: dict[str, Any]
    members: tuple[Member, ...]
    inputs: Inputs
    data: tuple[Member, ...]
    card: Card | None
    licence: str
    author: Author | None

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.run_dir.resolve().name

    @property
    def script(self) -> str:
        """The run script."""
        names = [m.name for m in self.members if m.kind == "rendered"]
        found = [n for n in names if "/" not in n and n.startswith("run.")]
        if not found:
            raise ConfigError(f"{self.run_dir}: has no run script; render the job again")
        return found[0]

    @property
    def last_change(self) -> float:
        """When the run last did anything; a fixed time for one that never started."""
        times = [finite(e.get(k)) for e in launches_of(self.manifest) for k in ("time", "end")]
        return max([t for t in [*times, finite(self.state.get("updated"))] if t], default=0.0)


def describe(facts: Facts, readme: bytes) -> bytes:
    """The whole page.

    Raises:
        ConfigError: rocrate is not installed.
    """
    crate = _library()(version="1.1")
    crate.metadata.extra_terms = {term: _TERMS + term for term in _EXTRA}
    for term in ("containerImage", "registry"):
        crate.metadata.extra_terms[term] = {"@id": _TERMS + term}
    _describe_root(crate, facts)
    files = {m.name: _add_file(crate, m) for m in facts.members if not _is_code(m)}
    readme_file = _add_text(crate, "README.md", readme, "text/markdown")
    readme_file["about"] = crate.root_dataset
    _add_code(crate, facts)
    folders = _add_folders(crate, facts, files)
    inputs = _add_inputs(crate, facts, files)
    workflow = _add_workflow(crate, facts, inputs, [*folders.values(), *_of(facts, files)])
    add_actions(crate, facts, workflow, inputs, files)
    page = crate.metadata.generate()
    page["@graph"] = sorted(map(_without_singletons, page["@graph"]), key=_order)
    return (json.dumps(page, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _without_singletons(entity: dict[str, Any]) -> dict[str, Any]:
    """RO-Crate 1.1 wants a single value as itself, and not as an array of one."""
    return {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value
        for key, value in entity.items()
        if value not in ([], None)
    }


def _order(entity: dict[str, Any]) -> tuple[bool, bool, str]:
    name = entity["@id"]
    return name != "ro-crate-metadata.json", name != "./", name


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # rocrate leaves its contexts open
            from rocrate.rocrate import ROCrate
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"export --ro-crate: needs the package {e.name!r}, which is not installed; "
            "install it with: pip install 'hpctrain[provenance]'"
        ) from e
    return ROCrate


def iso(seconds: float) -> str:
    """Seconds since 1970 in ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(seconds))


def _describe_root(crate: Any, facts: Facts) -> None:
    root = crate.root_dataset
    root["name"] = f"hpctrain run {facts.name}"
    number = run_id(facts.manifest)
    root["description"] = (
        f"A training by hpctrain: run {number}, with its job, code, index of input files and "
        "results"
        if number
        else "A job of hpctrain that has not started, with its code and index of input files"
    )
    if number:
        root["identifier"] = number
    root["datePublished"] = iso(facts.last_change)
    root["license"] = facts.licence
    if facts.licence.startswith(("https://", "http://")):
        properties = {"@type": "CreativeWork", "name": facts.licence.rstrip("/").rpartition("/")[2]}
        root["license"] = add(crate, facts.licence, properties)
    profiles = PROFILES if launches_of(facts.manifest) else dict([list(PROFILES.items())[-1]])
    root["conformsTo"] = [
        add(
            crate,
            url,
            {"@type": "CreativeWork", "name": name, "version": url.rpartition("/")[2]},
        )
        for url, name in profiles.items()
    ]
    if facts.author is not None:
        person = {"@type": "Person", "name": facts.author.name}
        if facts.author.email:
            person["email"] = facts.author.email
        root["author"] = add(crate, facts.author.orcid or "#author", person)


def add(crate: Any, identifier: str, properties: dict[str, Any]) -> Any:
    """A contextual entity."""
    from rocrate.model.contextentity import ContextEntity

    return crate.add(ContextEntity(crate, identifier, properties=properties))


def _add_file(crate: Any, member: Member) -> Any:
    return crate.add_file(dest_path=member.name, properties=_properties(member))


def _properties(member: Member) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": member.name,
        "contentSize": str(member.size),
        "sha256": member.sha256,
    }
    found["encodingFormat"] = _format(member.name)
    if member.stamp is not None and member.stamp.content_digest:
        found["identifier"] = f"sha256:{member.stamp.content_digest}"
    return found


def _format(name: str) -> str:
    return _FORMATS.get(Path(name).suffix.lower(), "application/octet-stream")


def _add_text(crate: Any, name: str, content: bytes, kind: str) -> Any:
    properties = {
        "name": name,
        "contentSize": str(len(content)),
        "sha256": hashlib.sha256(content).hexdigest(),
        "encodingFormat": kind,
    }
    return crate.add_file(dest_path=name, properties=properties)


def _is_code(member: Member) -> bool:
    return member.name.startswith("code/")


def _add_code(crate: Any, facts: Facts) -> None:
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


def _add_folders(crate: Any, facts: Facts, files: dict[str, Any]) -> dict[str, Any]:
    """Folders of results, with their files as parts."""
    found = {}
    for name in (*RESULTS, "checkpoints"):
        parts = [files[m.name] for m in facts.members if m.name.startswith(f"{name}/")]
        if parts:
            found[name] = crate.add_dataset(
                dest_path=f"{name}/", properties={"name": f"{name} of the run", "hasPart": parts}
            )
    return found


def _of(facts: Facts, files: dict[str, Any]) -> list[Any]:
    return [files[name] for name in ("report.html",) if name in files]


def _add_inputs(crate: Any, facts: Facts, files: dict[str, Any]) -> list[Any]:
    """Configuration, index, and the input files: in the crate, or where they were."""
    found = [files[name] for name in ("config.yaml", "site.yaml", "index.csv") if name in files]
    listed = facts.inputs.files[:MOST_LISTED]
    if facts.data:
        parts: list[Any] = [_add_file(crate, m) for m in facts.data[:MOST_LISTED]]
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
                    "encodingFormat": _format(file.name),
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
    return found


def _add_workflow(crate: Any, facts: Facts, inputs: list[Any], outputs: list[Any]) -> Any:
    """The run script as main workflow, with a formal parameter for each input and output."""
    from rocrate.model.computerlanguage import ComputerLanguage

    (member,) = [m for m in facts.members if m.name == facts.script]
    bash = crate.add(
        ComputerLanguage(
            crate,
            "#bash",
            properties={
                "name": "Bash",
                "identifier": {"@id": "https://www.gnu.org/software/bash/"},
                "url": {"@id": "https://www.gnu.org/software/bash/"},
            },
        )
    )
    add(crate, "https://www.gnu.org/software/bash/", {"@type": "WebPage", "name": "GNU Bash"})
    workflow = crate.add_workflow(
        dest_path=member.name,
        main=True,
        lang=bash,
        properties={
            **_properties(member),
            "name": f"{facts.name}: {member.name}",
            "version": str(facts.manifest.get("version") or "unknown"),
            "conformsTo": {
                "@id": "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
            },
            "softwareRequirements": {"@id": "code/"},
        },
    )
    for key, entities in (("input", inputs), ("output", outputs)):
        for entity in entities:
            kind = "Dataset" if "Dataset" in entity.type else "File"
            parameter = crate.add_formal_parameter(
                str(entity["name"]), kind, identifier=f"#{key}-{quote(entity.id, safe='')}"
            )
            parameter["workExample"] = entity
            entity.append_to("exampleOfWork", parameter)
            workflow.append_to(key, parameter)
    return workflow
