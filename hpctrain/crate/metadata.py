"""ro-crate-metadata.json: the run in the words of Workflow Run Crate 0.5.

Of the three profiles of Workflow Run RO-Crate (https://w3id.org/ro/wfrun) the one in the middle
fits: the run script is a workflow that is executed as a whole, once a launch; its steps are those
of a training and not tools of their own, which the Provenance profile would want to see.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

from hpctrain.crate.actions import add_actions
from hpctrain.crate.content import Member
from hpctrain.crate.entities import add, add_file, add_text, iso
from hpctrain.crate.facts import Facts
from hpctrain.crate.parts import add_code, add_folders, add_inputs
from hpctrain.crate.workflow import add_workflow
from hpctrain.errors import ConfigError
from hpctrain.provenance.run import launches_of, run_id

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
_TERMS = "https://w3id.org/ro/terms/workflow-run#"
_EXTRA = ("ContainerImage", "SIFImage", "containerImage", "registry", "sha256")


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
    files = {m.name: add_file(crate, m) for m in facts.members if not _is_code(m)}
    readme_file = add_text(crate, "README.md", readme, "text/markdown")
    readme_file["about"] = crate.root_dataset
    add_code(crate, facts)
    folders = add_folders(crate, facts, files)
    inputs = add_inputs(crate, facts, files)
    workflow = add_workflow(crate, facts, inputs, [*folders.values(), *_of(facts, files)])
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


def _is_code(member: Member) -> bool:
    return member.name.startswith("code/")


def _of(facts: Facts, files: dict[str, Any]) -> list[Any]:
    return [files[name] for name in ("report.html",) if name in files]
