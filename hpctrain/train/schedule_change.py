"""What a change of the schedule in mid-training does, as curves over steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpctrain.config.run_facts import differences
from hpctrain.config.schedule import Schedule
from hpctrain.losses.dino import teacher_momentum
from hpctrain.train.schedule import factor, weight_decay

FIGURE = "schedule_change"
_POINTS = 500
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class ScheduleChange:
    """The facts of a run before and after."""

    before: Facts
    now: Facts
    changes: tuple[str, ...]
    """One text each: `epochs 100 -> 150`."""

    @classmethod
    def of(cls, before: Facts, now: Facts) -> ScheduleChange | None:
        """The change; None where there is none."""
        changes = tuple(differences(before, now))
        return cls(before, now, changes) if changes else None

    def draw(self, step: int) -> Any:
        """Draw both schedules, from the first step to the last of the longer one.

        Args:
            step: where the change is.
        """
        from hpctrain.analysis import schedule_figures  # matplotlib, in the recorder's thread only

        sides = {"before": _curves(self.before), "now": _curves(self.now)}
        ends = {when: _total(f) for when, f in (("before", self.before), ("now", self.now))}
        panels: dict[str, dict[str, tuple[list[int], list[float]]]] = {}
        for when, curves in sides.items():
            count = min(_POINTS, ends[when])
            steps = [int(s) for s in np.linspace(0, ends[when] - 1, count)]
            for name, value in curves.items():
                panels.setdefault(name, {})[when] = steps, [value(s) for s in steps]
        return schedule_figures.change(panels, step, "; ".join(self.changes))


def _total(facts: Facts) -> int:
    return int(facts["epochs"] * facts["steps_per_epoch"])


def _curves(facts: Facts) -> dict[str, Callable[[int], float]]:
    """What is a function of the step alone, by name.

    A rate that a metric lowers is drawn at its full value; stages of other crops as the last one.
    """
    schedule, total = Schedule.model_validate(facts["schedule"]), _total(facts)
    optimizer = facts.get("optimizer") or {}
    rate = float(optimizer.get("learning_rate", 1.0))
    found: dict[str, Callable[[int], float]] = {
        "learning rate": lambda step: rate * factor(schedule, step, total)
    }
    decay = schedule.final_weight_decay
    if decay is not None:
        first = float(optimizer.get("weight_decay", 0.0))
        found["weight decay"] = lambda step: weight_decay(first, decay, step, total)
    if "teacher_momentum" in facts:
        momentum = float(facts["teacher_momentum"])
        found["teacher momentum"] = lambda step: teacher_momentum(step, momentum, total)
    return found
