"""Rates and schedules compared by their last validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hpctrain.study.curves import answer_curves
from hpctrain.study.made import Found
from hpctrain.study.record import Trained

_ENDS = {"lowest": "lowest", "highest": "highest"}


def answer_rates(page: dict[str, Any], runs: Sequence[Trained]) -> Found:
    """The same comparison, drawn over the rate with a curve for each schedule."""
    found = answer_curves(page, runs)
    metric = page["metric"]
    curves = [
        {
            "label": kind,
            "rates": [row["rate"] for row in own],
            **{
                key: [row[name] for row in own] for key, name in {**_ENDS, "values": metric}.items()
            },
        }
        for kind in dict.fromkeys(row["schedule"] for row in found.rows)
        if (own := [r for r in found.rows if r["schedule"] == kind and r[metric] is not None])
    ]
    return Found(found.rows, found.sentences, {"metric": metric, "curves": curves})
