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
    if microseconds < 9999.5:
        return f"{microseconds:.0f} us"
    return _scaled(microseconds / 1e6, (("s", 1.0), ("ms", 1e3)))


def _speed(gigabytes: float) -> str:
    return _scaled(gigabytes, (("GB/s", 1.0), ("MB/s", 1e3), ("kB/s", 1e6)))


def _scaled(value: float, units: Sequence[tuple[str, float]]) -> str:
    """In the first unit of which there is one, once rounded to three digits as it is shown."""
    for unit, factor in units:
        if float(f"{value * factor:.3g}") >= 1 or (unit, factor) == units[-1]:
            break
    # three digits as :.3g has them, but never an exponent
    digits = float(f"{value * factor:.3g}")
    return f"{digits:.0f} {unit}" if digits >= 1000 else f"{digits:.6g} {unit}"
