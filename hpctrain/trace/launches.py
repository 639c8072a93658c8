"""Starts of a training in words."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from hpctrain import run_state
from hpctrain.provenance.run import launches_of
from hpctrain.trace.link import Link


def launch_links(page: Mapping[str, Any]) -> Iterator[Link]:
    """Starts of the training: when, where, with what versions."""
    origin = page.get("resumed_from")
    if isinstance(origin, dict):
        name = f"{origin.get('checkpoint')} of {origin.get('run')}"
        yield Link("began with", name, "", "", str(origin.get("sha256") or ""))
    for entry in launches_of(page):
        details = tuple(line for line in (_versions(entry), _machine(entry)) if line)
        name = str(entry.get("launch_id") or "?")
        yield Link("launch", name, "", launch_text(entry), "", details)


def launch_text(entry: Mapping[str, Any]) -> str:
    """One start in one line: when, where, on what, and how it ended."""
    hosts = entry.get("hosts")
    hosts = [str(host) for host in hosts] if isinstance(hosts, list) else []
    shown = ", ".join(hosts[:4]) + (f" and {len(hosts) - 4} more" if len(hosts) > 4 else "")
    ranks, code = entry.get("world_size"), entry.get("exit_code")
    parts = [
        moment(entry.get("time")),
        f"on {shown}" if shown else "",
        f"{ranks} rank{'s' * (ranks != 1)}" if ranks else "",
        *(str(entry.get(key) or "") for key in ("comm", "device")),
        f"exit code {code}" if code is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _versions(entry: Mapping[str, Any]) -> str:
    packages = entry.get("packages")
    versions = packages if isinstance(packages, dict) else {"torch": entry.get("torch")}
    parts = [f"{name} {own}" for name, own in (("python", entry.get("python")), *versions.items())]
    return ", ".join([part for part in parts if not part.endswith(" None")])


def _machine(entry: Mapping[str, Any]) -> str:
    modules = entry.get("modules")
    parts = [
        *(str(entry.get(key) or "") for key in ("platform", "driver", "mpi")),
        f"modules {' '.join(map(str, modules))}" if isinstance(modules, list) else "",
    ]
    return ", ".join(part for part in parts if part)


def moment(seconds: Any) -> str:
    """Seconds since 1970 as date and time in UTC; empty for anything else."""
    number = run_state.finite(seconds)
    if number is None:
        return ""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(number))
    except (OverflowError, OSError, ValueError):
        return ""
