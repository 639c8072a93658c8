"""GPUs of this host, and what limits them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpctrain.config.job import Resources
from hpctrain.config.site import Site
from hpctrain.doctor.secret import cut
from hpctrain.doctor.topic import Topic
from hpctrain.preflight.ask import SilentError, ask

_QUERY = ["nvidia-smi", "--query-gpu=index,uuid,name,driver_version,memory.total"]
_QUERY += ["--format=csv,noheader"]
_LIMIT_S = 20.0
_AMD = Path("/sys/class/kfd/kfd/topology/nodes")


@dataclass(frozen=True)
class Gpus:
    """GPUs as the driver lists them.

    Attributes:
        rows: index, uuid, name, driver and memory of each.
        problem: why the driver could not be asked.
    """

    rows: list[dict[str, str]]
    problem: str = ""


def ask_driver() -> Gpus:
    """The GPUs of this host; none where there is no driver."""
    try:
        answer = ask(_QUERY, _LIMIT_S)
    except SilentError as e:
        return Gpus([], str(e))
    if answer is None:
        return Gpus([{"index": str(i), "name": "AMD GPU"} for i in range(_num_amd())])
    if answer.code:
        return Gpus([], f"nvidia-smi: {cut(answer.words, -200)}")
    return Gpus(driver_rows(answer.out))


def driver_rows(text: str) -> list[dict[str, str]]:
    """Lines of nvidia-smi's CSV."""
    names = ("index", "uuid", "name", "driver", "memory")
    lines = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    return [dict(zip(names, line, strict=True)) for line in lines if len(line) == len(names)]


def _num_amd() -> int:
    """Nodes of the kernel's own list that have compute units."""
    found = 0
    for path in _AMD.glob("*/properties"):
        words = path.read_text(errors="replace").split()
        found += any(a == "simd_count" and b != "0" for a, b in zip(words, words[1:], strict=False))
    return found


def gpus_topic(found: Gpus, site: Site, ask_for: Resources, torch: Mapping[str, Any]) -> Topic:
    """What the driver shows, what torch shows, and what the mask is.

    Args:
        found: what the driver says.
        site: the site.
        ask_for: what the job asks for.
        torch: what torch said in the job's Python.
    """
    mask = site.mask_variable
    value = os.environ.get(mask) if mask else None
    topic = Topic("gpus", facts={"driver": found.rows, "mask": {str(mask): value}})
    if found.problem:
        topic.error("driver", found.problem, "the driver is down: take another node, tell the site")
    elif found.rows:
        first = found.rows[0]
        count, driver = len(found.rows), first.get("driver", "")
        more = f", driver {driver}" if driver else ""
        topic.ok("driver", f"{count} x {first['name']} {first.get('memory', '')}{more}")
        _torch(topic, torch, bool(ask_for.gpus_per_rank))
    else:
        topic.note("driver", "this host shows no GPU; a login node often has none")
    if mask is None:
        topic.ok("mask", f"site {site.name} has no GPUs, so that ranks get no mask")
    elif value is None:
        topic.ok("mask", f"{mask} is not set here; rank.sh sets it for each rank")
    else:
        topic.note("mask", f"{mask}={value!r} is set here; rank.sh deals out what it names")
    return topic


def _torch(topic: Topic, torch: Mapping[str, Any], is_asked: bool) -> None:
    gpus = torch.get("gpus") or []
    if gpus:
        topic.ok("torch", f"sees {len(gpus)} of them, built for {torch['built_for']}")
        return
    built = torch.get("built_for", "cpu")
    say = topic.error if is_asked else topic.warning
    say(
        "torch",
        f"sees no GPU, built for {built}",
        "install a torch for this driver; in a container check --nv or --rocm; look at the mask",
    )
