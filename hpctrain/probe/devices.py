"""The GPUs that torch shows this rank."""

from __future__ import annotations

from typing import Any

import torch


def devices() -> dict[str, Any]:
    """Each with name and UUID, which is the device's own whatever the mask calls it."""
    found: dict[str, Any] = {"torch": torch.__version__, "built_for": _built_for(), "gpus": []}
    if not torch.cuda.is_available():
        return found
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        found["gpus"].append(
            {"name": facts.name, "uuid": str(facts.uuid), "memory": facts.total_memory}
        )
    return found


def _built_for() -> str:
    if torch.version.hip:
        return f"rocm {torch.version.hip}"
    return f"cuda {torch.version.cuda}" if torch.version.cuda else "cpu"
