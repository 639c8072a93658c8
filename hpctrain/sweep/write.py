"""Sweeps on disk: one run directory a point, written one by one, and renamed as a whole."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from hpctrain.config.job import Job
from hpctrain.errors import RenderError
from hpctrain.index.beside import Beside
from hpctrain.render import File, Inputs, render
from hpctrain.render.inputs import digest
from hpctrain.render.writer import fill_folder, write_file
from hpctrain.sweep.plan import Plan
from hpctrain.sweep.points import Point

CODE = "code/"
POINTS = "points"
TABLE = "sweep.csv"
FACTS = "sweep.json"

Rendered = tuple[Point, dict[str, File]]
"""A point and the files of its run directory."""


class Data(NamedTuple):
    """What rendering takes of a job's data."""

    index_csv: str
    index_json: str
    beside: Mapping[str, Beside]
    """Files that decide the training and are not in the index."""


DataOf = Callable[[Job], Data]
"""The data of a job; the same data block gives the same index."""


def point_files(points: Iterable[Point], inputs: Inputs, data_of: DataOf) -> Iterator[Rendered]:
    """The files of each point's run directory, one point at a time.

    Args:
        points: the points.
        inputs: with the sweep's own folder as run directory.
        data_of: builds an index, or knows it.
    """
    for point in points:
        run_dir = f"{inputs.run_dir}/{POINTS}/{point.name}"
        own = replace(inputs, run_dir=run_dir, **data_of(point.job)._asdict())
        yield point, render(_with_code_bound(point.job, inputs.run_dir), point.site, own)


def _with_code_bound(job: Job, sweep_dir: str) -> Job:
    """In a container, the link `code` of a point must lead somewhere."""
    if job.container is None:
        return job
    binds = [*job.container.binds, f"{sweep_dir}/code"]
    return job.model_copy(update={"container": job.container.model_copy(update={"binds": binds})})


def table_text(points: Iterable[Point], keys: Iterable[str]) -> Iterator[str]:
    """Lines of sweep.csv: number, name, one column a parameter."""
    columns = list(keys)
    yield _row(["index", "name", *columns])
    for point in points:
        yield _row([point.index, point.name, *(point.values.get(key, "") for key in columns)])


def _row(cells: Iterable[object]) -> str:
    line = io.StringIO()
    texts = [json.dumps(c) if c is None or isinstance(c, bool) else c for c in cells]
    csv.writer(line, lineterminator="\n").writerow(texts)
    return line.getvalue()


def facts(job: Job, site: str, plan: Plan, num_points: int, scripts: Mapping[str, str]) -> str:
    """sweep.json: how the points are handed in, and digests of the sweep's own scripts."""
    page = {
        "name": job.name,
        "site": site,
        "how": plan.how,
        "why": plan.why,
        "num_points": num_points,
        "parts": list(plan.parts),
        "max_running": plan.max_running,
        "slots": plan.slots,
        "files": {name: digest(text.encode()) for name, text in sorted(scripts.items())},
    }
    return json.dumps(page, indent=1) + "\n"


def put_sweep(
    target: Path, texts: Mapping[str, str], rendered: Iterable[Rendered], keys: Iterable[str]
) -> None:
    """Write a sweep beside its place, then swap by renaming.

    Args:
        target: folder of the sweep; one that exists is replaced.
        texts: own files by name; those that begin with run can be started.
        rendered: files of each point.
        keys: parameters, for sweep.csv.

    Raises:
        RenderError: it cannot be written; nothing was changed.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _workshop(target) as work:
            new = work / "new"
            _fill_sweep(new, texts, rendered, keys)
            if target.exists():
                target.rename(work / "old")
            try:
                new.rename(target)
            except BaseException:
                if (work / "old").exists():
                    (work / "old").rename(target)
                raise
    except OSError as e:
        raise RenderError(f"{target}: cannot be written: {e.strerror}; nothing was changed") from e


@contextmanager
def _workshop(target: Path) -> Iterator[Path]:
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _fill_sweep(
    folder: Path, texts: Mapping[str, str], rendered: Iterable[Rendered], keys: Iterable[str]
) -> None:
    (folder / POINTS).mkdir(parents=True)
    (folder / "logs").mkdir()
    written: dict[str, Path] = {}

    def points() -> Iterator[Point]:
        for point, files in rendered:
            put_point(files, folder / POINTS / point.name, folder, written)
            yield point

    with (folder / TABLE).open("w", encoding="utf-8") as table:
        table.writelines(table_text(points(), keys))
    for name, text in texts.items():
        write_file(File(text.encode(), is_executable=name.startswith("run")), folder / name)


def put_point(files: Mapping[str, File], run: Path, sweep: Path, written: dict[str, Path]) -> None:
    """Write one point; its code is the sweep's, and an index that another point has is linked.

    Args:
        files: of the run directory.
        run: the run directory, which is made.
        sweep: folder of the sweep.
        written: where the text of each index lies already, by digest; grows.
    """
    put_code(files, sweep)
    own = {name: file for name, file in files.items() if not name.startswith(CODE)}
    index = own.pop("index.csv")
    fill_folder(own, run)
    (run / "code").symlink_to(os.path.join("..", "..", "code"))
    first = written.get(key := digest(index.content))
    try:
        if first is None:
            raise FileNotFoundError
        os.link(first, run / "index.csv")
    except OSError:  # none yet, or a file system without links
        (run / "index.csv").write_bytes(index.content)
        if len(written) < 8:
            written[key] = run / "index.csv"


def put_code(files: Mapping[str, File], sweep: Path) -> None:
    """Write the one copy of the code that all points share, unless it is there."""
    if (sweep / "code").exists():
        return
    for name, file in files.items():
        if name.startswith(CODE):
            write_file(file, sweep / name)
