"""The run script as main workflow of a crate."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from hpctrain.crate.entities import add, file_properties
from hpctrain.crate.facts import Facts


def add_workflow(crate: Any, facts: Facts, inputs: list[Any], outputs: list[Any]) -> Any:
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
            **file_properties(member),
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
