"""How fast the ranks exchange gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hpctrain.doctor.topic import Topic, amount

_SLOW_GB_S = 0.05
_SHOWN = (1 << 10, 1 << 20, 1 << 26)


def allreduce_topic(notes: Sequence[dict[str, Any]]) -> Topic:
    """Time and bandwidth of allreduce, of a small, a middle and a large size."""
    topic = Topic("allreduce")
    measured = [note for note in notes if note.get("allreduce")]
    if not measured:
        return topic
    rows, note = measured[0]["allreduce"], measured[0]
    device = "GPUs" if note["devices"]["gpus"] else "CPUs"
    backend = {"ddp": "nccl" if device == "GPUs" else "gloo"}.get(note["comm"], note["comm"])
    topic.facts |= {"comm": note["comm"], "backend": backend, "ranks": len(notes), "rows": rows}
    largest = rows[-1]
    for row in rows:
        if row["bytes"] not in _SHOWN and row is not largest:
            continue
        text = (
            f"{backend} over {len(notes)} {device}: {_time(row['time_us'])}, "
            f"algorithm {_speed(row['algbw_gb_s'])}, bus {_speed(row['busbw_gb_s'])}"
        )
        if row is largest and row["bytes"] >= 1 << 24 and row["algbw_gb_s"] < _SLOW_GB_S:
            remedy = "see that the fast network is used (NCCL_SOCKET_IFNAME, GLOO_SOCKET_IFNAME)"
            topic.warning(amount(row["bytes"]), f"{text}; that is slow", remedy)
        else:
            topic.ok(amount(row["bytes"]), text)
    return topic


def _time(microseconds: float) -> str:
    return f"{microseconds:.0f} us" if microseconds < 1e4 else f"{microseconds / 1e3:.3g} ms"


def _speed(gigabytes: float) -> str:
    for unit, factor in (("GB/s", 1.0), ("MB/s", 1e3)):
        if gigabytes * factor >= 1:
            return f"{gigabytes * factor:.3g} {unit}"
    return f"{gigabytes * 1e6:.3g} kB/s"
