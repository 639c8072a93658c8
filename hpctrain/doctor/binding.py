"""Which GPU each rank sees: its own, or another's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hpctrain.config.job import Resources
from hpctrain.config.site import Site
from hpctrain.doctor.topic import Topic

Notes = Sequence[dict[str, Any]]

_OWN = "start every rank through rank.sh, which shows each its own; look at the mask and gpu_order"
_SHOWN = 8


def bind_gpus(topic: Topic, notes: Notes, site: Site, ask: Resources) -> None:
    """Add to the topic `gpus` what the ranks see.

    Args:
        topic: takes the lines.
        notes: of each rank.
        site: its mask variable.
        ask: what the ranks were to have.
    """
    placed = [note for note in notes if "ranks" in note]
    topic.facts["ranks"] = [_facts(note, site) for note in placed]
    if not placed or not ask.gpus_per_rank:
        if placed:
            topic.ok("binding", "the ranks were started without GPUs")
        return
    shared = list(_shared((n["host"], gpu, _rank(n)) for n in placed for gpu in _uuids(n)))
    for host, gpu, ranks in shared[:3]:
        topic.error("binding", f"ranks {_list(ranks)} on {host} share the device {gpu}", _OWN)
    masks = [] if shared else list(_shared(_masks(placed, site)))
    for host, mask, ranks in masks[:3]:
        text = f"ranks {_list(ranks)} on {host} both have {site.mask_variable}={mask}"
        topic.error("binding", text, f"unset {site.mask_variable} before the job, or {_OWN}")
    blind = [n for n in placed if "devices" in n and not n["devices"]["gpus"]]
    if blind:
        where = ", ".join(f"rank {_rank(n)} on {n['host']}" for n in blind[:4])
        built = blind[0]["devices"]["built_for"]
        topic.error(
            "visible",
            f"{where} sees no GPU; its torch is built for {built}",
            "install a torch for this GPU; look at the driver, --nv or --rocm, and the mask",
        )
    elif not shared and not masks:
        _all_well(topic, [note for note in placed if "devices" in note], site)
    _early(topic, [note for note in placed if "devices" not in note])


def _early(topic: Topic, notes: Notes) -> None:
    """Ranks that hung or died before they saw their devices; `launch` has the error."""
    if notes:
        first, *others = notes
        more = f", nor those of {len(others)} rank{'s' * (len(others) > 1)} more" if others else ""
        text = f"rank {_rank(first)} on {first['host']} stood at `{first['stage']}`, so its GPUs"
        topic.warning("binding", f"{text} are not known{more}", "see launch below")


def _all_well(topic: Topic, placed: Notes, site: Site) -> None:
    for note in placed[:_SHOWN]:
        gpus, mask = note["devices"]["gpus"], note["environment"].get(str(site.mask_variable))
        names = ", ".join(f"{gpu['name']} {gpu['uuid']}" for gpu in gpus)
        topic.ok("binding", f"rank {_rank(note)} on {note['host']}, mask {mask}: {names}")
    if len(placed) > _SHOWN:
        topic.ok("binding", f"and {len(placed) - _SHOWN} ranks more, each with its own")


def _facts(note: dict[str, Any], site: Site) -> dict[str, Any]:
    mask = note["environment"].get(str(site.mask_variable))
    return {"rank": _rank(note), "host": note["host"], "mask": mask, "uuids": list(_uuids(note))}


def _rank(note: dict[str, Any]) -> int:
    return int(note["ranks"]["rank"])


def _uuids(note: dict[str, Any]) -> Iterator[str]:
    for gpu in note.get("devices", {}).get("gpus", []):
        yield gpu["uuid"]


def _masks(placed: Notes, site: Site) -> Iterator[tuple[str, str, int]]:
    for note in placed:
        for word in filter(None, note["environment"].get(str(site.mask_variable), "").split(",")):
            yield note["host"], word, _rank(note)


def _shared(uses: Iterable[tuple[str, str, int]]) -> Iterator[tuple[str, str, list[int]]]:
    users: dict[tuple[str, str], list[int]] = defaultdict(list)
    for host, what, rank in uses:
        users[host, what].append(rank)
    return ((*key, ranks) for key, ranks in users.items() if len(ranks) > 1)


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"
