"""Each start of the training as a CreateAction: who, where, when, on what, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from hpctrain.crate.entities import add, iso
from hpctrain.crate.facts import Facts
from hpctrain.errors import EXIT_STOPPED
from hpctrain.provenance.run import launches_of
from hpctrain.run_state import finite

_HOST_FACTS = (
    "hosts",
    "world_size",
    "comm",
    "device",
    "python",
    "platform",
    "driver",
    "mpi",
    "modules",
)


def add_actions(
    crate: Any, facts: Facts, workflow: Any, inputs: list[Any], files: dict[str, Any]
) -> None:
    """Add an action a launch; products belong to the launch that their stamp names."""
    launches = launches_of(facts.manifest)
    for number, launch in enumerate(launches):
        is_last = number == len(launches) - 1
        name = str(launch.get("launch_id") or number)
        results = [files[m.name] for m in facts.members if _is_of(m, name, is_last)]
        action = crate.add_action(
            workflow,
            identifier=f"#launch-{number + 1}-{quote(name, safe='')}",
            object=inputs,
            result=results,
            properties=_properties(facts, launch, number + 1, is_last),
        )
        if facts.author is not None:
            action["agent"] = crate.root_dataset["author"]
        action["additionalProperty"] = _host_facts(crate, launch, number + 1)
        image = _image(crate, launch)
        if image is not None:
            action["containerImage"] = image
        crate.root_dataset.append_to("mentions", action)


def _is_of(member: Any, launch_id: str, is_last: bool) -> bool:
    if member.kind not in ("result", "checkpoint") and member.name != "report.html":
        return False
    if member.stamp is None:
        return is_last
    return bool(member.stamp.launch_id == launch_id)


def _properties(
    facts: Facts, launch: Mapping[str, Any], number: int, is_last: bool
) -> dict[str, Any]:
    code = finite(launch.get("exit_code"))
    if code is None and is_last:
        code = finite(facts.state.get("exit_code"))
    found: dict[str, Any] = {
        "name": f"start {number} of {facts.name}",
        "description": f"launch {launch.get('launch_id')}, {_end(code)}",
    }
    begin, end = finite(launch.get("time")), finite(launch.get("end"))
    if end is None and is_last:
        end = finite(facts.state.get("updated"))
    if begin is not None:
        found["startTime"] = iso(begin)
    if end is not None:
        found["endTime"] = iso(end)
    if code is not None:
        is_good = code in (0, EXIT_STOPPED)
        word = "Completed" if is_good else "Failed"
        found["actionStatus"] = f"http://schema.org/{word}ActionStatus"
        message = launch.get("message") or (facts.state.get("message") if is_last else None)
        if not is_good and message:
            found["error"] = str(message)
    return found


def _end(code: float | None) -> str:
    if code is None:
        return "whose end was not recorded"
    words = {0: "finished", EXIT_STOPPED: "stopped to go on later"}
    return f"{words.get(int(code), 'failed')} (exit code {code:.0f})"


def _host_facts(crate: Any, launch: Mapping[str, Any], number: int) -> list[Any]:
    packages = launch.get("packages")
    values = {key: launch[key] for key in _HOST_FACTS if launch.get(key)}
    values.update(packages if isinstance(packages, dict) else {"torch": launch.get("torch")})
    return [
        add(
            crate,
            f"#launch-{number}-{quote(str(key), safe='')}",
            {"@type": "PropertyValue", "name": str(key), "value": _text(value)},
        )
        for key, value in values.items()
        if value
    ]


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _image(crate: Any, launch: Mapping[str, Any]) -> Any:
    """The container image that a launch ran in, as a reference; it is too large to be inside."""
    facts = launch.get("container")
    if not isinstance(facts, dict) or not facts.get("image"):
        return None
    name = str(facts["image"])
    sha256 = facts.get("sha256")
    properties: dict[str, Any] = {
        "@type": "ContainerImage",
        "additionalType": {"@id": "https://w3id.org/ro/terms/workflow-run#SIFImage"},
        "name": name,
        "registry": "local file" if "://" not in name else name.partition("://")[0],
    }
    if sha256:
        properties["sha256"] = str(sha256)
    labels = facts.get("labels")
    if isinstance(labels, dict) and labels:
        properties["description"] = ", ".join(f"{k} {v}" for k, v in sorted(labels.items()))
    identity = str(sha256 or facts.get("id") or "unknown")
    return add(crate, f"#image-{quote(identity, safe='')}", properties)
