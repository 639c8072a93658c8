"""The points of a sweep: which values each has, and the checked job that they make."""

from __future__ import annotations

import copy
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hpctrain.config.document import Document
from hpctrain.config.job import Job
from hpctrain.config.layers import Layers
from hpctrain.config.load import Resolved, read_site
from hpctrain.config.site import Site
from hpctrain.config.sweep import Random, Range, Scalar, Sweep
from hpctrain.config.together import num_points
from hpctrain.errors import ConfigError

MOST_POINTS = 100_000
SHOWN = 5
_DIGITS = 6

Values = dict[str, Scalar]
"""Path of a value in the job file to the value."""


@dataclass(frozen=True)
class Point:
    """One point of a sweep.

    Attributes:
        index: number from 0.
        name: name of its run directory, such as 007.
        values: what it sets.
        job: the job that this makes.
        site: the site as jobs of its queue see it.
    """

    index: int
    name: str
    values: Values
    job: Job
    site: Site


def expand(sweep: Sweep) -> Iterator[Values]:
    """The values of each point, one at a time: grid x points x random.

    The first key of the grid varies slowest. Draws follow from the seed alone.
    """
    for combination in itertools.product(*sweep.grid.values()):
        fixed = dict(zip(sweep.grid, combination, strict=True))
        for listed in sweep.points or [{}]:
            draws = draw(sweep.random) if sweep.random else iter([{}])
            for drawn in draws:
                yield {**fixed, **listed, **drawn}


def draw(spec: Random) -> Iterator[Values]:
    """Points at random; the order of the parameters in the file does not matter."""
    source = random.Random(spec.seed)  # noqa: S311 - no secret
    for _ in range(spec.num_points):
        # sorted, and rounded: logarithms differ in their last digit from machine to machine
        yield {key: _value(spec.parameters[key], source) for key in sorted(spec.parameters)}


def _value(bounds: Range, source: random.Random) -> Scalar:
    if bounds.scale == "integer":
        return source.randint(int(bounds.low), int(bounds.high))
    if bounds.scale == "log":
        value = math.exp(source.uniform(math.log(bounds.low), math.log(bounds.high)))
    else:
        value = source.uniform(bounds.low, bounds.high)
    return min(max(float(f"{value:.{_DIGITS}g}"), bounds.low), bounds.high)


def resolve_points(resolved: Resolved) -> Iterator[Point]:
    """The checked job of each point, one at a time.

    Raises:
        ConfigError: a point makes a job that is wrong; names the sweep's line and the point.
    """
    for point in try_points(resolved):
        if isinstance(point, ConfigError):
            raise point
        yield point


def try_points(resolved: Resolved) -> Iterator[Point | ConfigError]:
    """Each point, or what is wrong with it."""
    sweep, machine = sweep_of(resolved), _machine(resolved)
    width = name_width(num_points(sweep))
    for index, values in enumerate(expand(sweep)):
        name = f"{index:0{width}}"
        try:
            job = _job(resolved, values, name)
        except ConfigError as e:
            yield e
        else:
            yield Point(index, name, values, job, machine.for_queue(job.resources.queue))


def name_width(count: int) -> int:
    """Digits of the names of so many points."""
    return max(3, len(str(count - 1)))


def sweep_of(resolved: Resolved) -> Sweep:
    """The job's sweep.

    Raises:
        ConfigError: it has none.
    """
    if resolved.job.sweep is None:
        raise ConfigError(f"{resolved.job.name}: has no sweep")
    return resolved.job.sweep


def label(resolved: Resolved, name: str, values: Mapping[str, Scalar]) -> str:
    """How messages call a point: the sweep's line, its number and its values."""
    return f"{resolved.layers.source(('sweep',))}: sweep point {name} ({shown(values)})"


def shown(values: Mapping[str, Scalar]) -> str:
    """Values of a point as they would be given to `--set`."""
    return ", ".join(f"{key}={json.dumps(value)}" for key, value in values.items())


def refuse_duplicates(resolved: Resolved) -> None:
    """Refuse too many points, and two with the same values.

    Raises:
        ConfigError: names both points.
    """
    sweep, place = sweep_of(resolved), resolved.layers.source(("sweep",))
    count = num_points(sweep)
    if count > MOST_POINTS:
        raise ConfigError(
            f"{place}: sweep: makes {count} points; allowed: {MOST_POINTS} or fewer; "
            "draw some of them with random"
        )
    seen: dict[int, int] = {}
    for index, values in enumerate(expand(sweep)):
        # of texts, as -1 and -2 have the same hash
        first = seen.setdefault(hash(_as_text(values)), index)
        if first != index:
            raise ConfigError(
                f"{place}: sweep: points {first} and {index} are the same ({shown(values)}); "
                "keep one of them"
            )


def _as_text(values: Values) -> str:
    """Values as a text that tells points apart: 1 and 1.0 are the same, 1 and true are not."""
    texts = (
        f"{key}={float(v) if isinstance(v, int) and not isinstance(v, bool) else v!r}"
        for key, v in sorted(values.items())
    )
    return "\n".join(texts)


def differing_resources(sweep: Sweep) -> list[str]:
    """Parameters that change what the scheduler is asked for, so that no array can hold them."""
    varied = [key for key, values in sweep.grid.items() if len(values) > 1]
    for key in {key for point in sweep.points for key in point}:
        values = [point.get(key, _ABSENT) for point in sweep.points]
        if any(value != values[0] for value in values):
            varied.append(key)
    if sweep.random and sweep.random.num_points > 1:
        varied += sweep.random.parameters
    asking = ("resources.", "launch.warning_s")
    return sorted(key for key in varied if key.startswith(asking))


_ABSENT = object()


def _machine(resolved: Resolved) -> Site:
    """The site for all queues: points may vary the queue."""
    named = resolved.layers.source(("site",))
    is_file = named.endswith((".yaml", ".yml"))
    return read_site(named if is_file else resolved.site.name)[0]


def _job(resolved: Resolved, values: Values, name: str) -> Job:
    base, place = resolved.layers, label(resolved, name, values)
    layers = Layers(copy.deepcopy(base.value), list(base.documents), dict(base.origins))
    layers.add(Document(place, {"sweep": None, "name": f"{resolved.job.name}-{name}"}))
    for key, value in values.items():
        nested: object = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        layers.add(Document(place, nested))
    try:
        return layers.validate(Job)
    except ConfigError as e:
        # a rule may be broken in a line of the job file that is right without this point
        lines = (
            line if line.startswith(place) else f"{line} (in {place})"
            for line in str(e).splitlines()
        )
        raise ConfigError("\n".join(lines)) from e
