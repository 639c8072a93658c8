"""What the watchdog is told of the loop."""

import time

from hpctrain.train.faults.stages import Stages
from hpctrain.train.faults.watchdog import Watchdog
from hpctrain.train.task import Position


def test_begin_step__only_the_first_may_last():
    stages = Stages()
    stages.begin_step(Position(0, 0, 0), 8, compiles=False)
    assert stages.name == "first step"
    time.sleep(0.02)
    stages.begin_step(Position(0, 1, 1), 8, compiles=False)
    assert stages.name == "step"
    assert stages.first_step_s >= 0.02
    assert stages.longest_step_s == 0
    stages.begin_step(Position(1, 0, 2), 3, compiles=False)
    assert stages.name == "step"
    assert stages.longest_step_s > 0


def test_begin_step__where_a_compiler_may_run_again():
    stages = Stages()
    names = []
    for epoch, step, num_samples in ((0, 0, 8), (0, 1, 8), (0, 2, 3), (1, 0, 8), (1, 1, 8)):
        stages.begin_step(Position(epoch, step, 0), num_samples, compiles=True)
        names.append(stages.name)
    assert names == ["first step", "step", "first step", "first step", "step"]


def test_allowed__second_step_may_be_as_slow_as_the_first():
    watchdog, stages = Watchdog.__new__(Watchdog), Stages(first_step_s=50.0)
    watchdog._limit_s, watchdog._stages = 45.0, stages
    assert watchdog._allowed("step") == 150
    stages.longest_step_s = 1.0
    assert watchdog._allowed("step") == 45
    stages.longest_step_s = 6.0
    assert watchdog._allowed("step") == 60
