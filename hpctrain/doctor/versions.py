"""Which programs and packages the job's Python has."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import hpctrain
from hpctrain.doctor.topic import Topic

_SHOWN = ("torch", "horovod", "mpi4py", "numpy")
_NEEDED = ("torch", "numpy")


def versions_topic(found: Mapping[str, Any], comm: str) -> Topic:
    """Versions, and digests by which two machines can be compared.

    Args:
        found: what `inside.py` printed.
        comm: the job's launch.comm.
    """
    topic = Topic("versions", facts=dict(found))
    topic.ok("hpctrain", f"{hpctrain.__version__}, {hpctrain.__path__[0]}")
    topic.ok("python", f"{found['python']}, {found['executable']}{_container(found)}")
    packages = found["packages"]
    for name in _SHOWN:
        _package(topic, name, packages.get(name), found, comm)
    digest = packages_digest(packages)
    topic.facts["packages_digest"] = digest
    topic.ok("packages", f"{len(packages)} in this Python, together digest {digest[:16]}")
    return topic


def packages_digest(packages: Mapping[str, Mapping[str, Any]]) -> str:
    """One digest of all: equal on two machines where the same files were installed."""
    lines = [f"{name} {p['version']} {p['digest']}\n" for name, p in sorted(packages.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _container(found: Mapping[str, Any]) -> str:
    return f", in {found['container']}" if found.get("container") else ""


def _package(
    topic: Topic, name: str, own: Mapping[str, Any] | None, found: Mapping[str, Any], comm: str
) -> None:
    if own is not None:
        more = ""
        if name == "torch":
            asked = found.get("torch") or {}
            if "error" in asked:
                topic.error(
                    "torch",
                    f"{own['version']} cannot be imported: {asked['error']}",
                    "install it again for this machine, or load the modules it was built with",
                )
                return
            more = f", built for {asked.get('built_for', 'cpu')}"
        digest = f"digest {own['digest'][:16]}" if own["digest"] else "no digest, not from a wheel"
        topic.ok(name, f"{own['version']}{more}, {digest}")
    elif name in _NEEDED:
        topic.error(name, "is not installed", "install hpctrain[train] into this Python")
    elif comm == {"horovod": "horovod", "mpi4py": "mpi"}[name]:
        topic.error(name, f"is not installed, and launch.comm is {comm}", _HOW[name])
    else:
        topic.note(name, "is not installed; launch.comm: ddp does without")


_HOW = {
    "horovod": "build it with `make horovod`, or set launch.comm: ddp",
    "mpi4py": "install it for the machine's MPI: pip install --no-binary mpi4py mpi4py",
}
