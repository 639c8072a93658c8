"""Numbers on their way from the loop to metrics.jsonl and TensorBoard."""

from __future__ import annotations

import json
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hpctrain.comm import Communicator
from hpctrain.log import logger
from hpctrain.provenance import Stamp
from hpctrain.train.run import unwritable


class Meter:
    """Means of the losses since the last log line, kept on the device until they are asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._weights: dict[str, float] = {}

    def add(self, losses: Mapping[str, Tensor], weight: float = 1.0) -> None:
        """Count one step.

        Args:
            losses: detached scalars in float32.
            weight: size of the step's batch as a share of a full one.
        """
        for key, value in losses.items():
            part = value * weight
            self._sums[key] = self._sums[key] + part if key in self._sums else part
            self._weights[key] = self._weights.get(key, 0.0) + weight

    def take(self, comm: Communicator) -> dict[str, float]:
        """Means over the samples of all ranks since the last call; starts anew."""
        if not self._sums:
            return {}
        names = sorted(self._sums)
        means = torch.stack([self._sums[key] / self._weights[key] for key in names])
        comm.allreduce(means, "metrics")
        self._sums, self._weights = {}, {}
        return dict(zip(names, means.tolist(), strict=True))


class Recorder:
    """Writes metrics.jsonl at once, TensorBoard points and figures in a thread of its own.

    TensorBoard and matplotlib take seconds to import and figures take seconds to draw; none of
    that is allowed to hold up the first step or any later one.
    """

    def __init__(
        self, run_dir: Path, first_step: int, make_stamp: Callable[[], Stamp] | None = None
    ) -> None:
        """Begin; what was recorded of later steps is taken away.

        Args:
            run_dir: the run directory.
            first_step: steps before this start.
            make_stamp: called in the thread, for the event file.
        """
        self._make_stamp = make_stamp
        self._jsonl_path = run_dir / "logs" / "metrics.jsonl"
        self._figures = run_dir / "eval" / "figures"
        try:
            _drop_after(self._jsonl_path, first_step)
            self._jsonl = self._jsonl_path.open("a")
        except OSError as e:
            raise unwritable(self._jsonl_path, e) from e
        self._work: queue.SimpleQueue[Callable[[Any], None] | None] = queue.SimpleQueue()
        self._told: set[str] = set()
        self._purge_step = first_step + 1
        self._log_dir = run_dir / "tensorboard"
        self._writer: Any = None
        self._draws = True
        self._thread = threading.Thread(target=self._run, name="recorder")
        self._thread.start()

    def scalars(self, kind: str, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Record numbers of one moment."""
        self.line(kind, epoch, step, {key: _short(value) for key, value in values.items()})

        def write(writer: Any) -> None:
            for key, value in values.items():
                writer.add_scalar(f"{kind}/{key}", value, step)

        self._work.put(write)

    def line(self, kind: str, epoch: int, step: int, content: Mapping[str, Any]) -> None:
        """Write one line of metrics.jsonl; its content must be such as JSON has."""
        head = {"kind": kind, "time": round(time.time(), 3), "epoch": epoch, "step": step}
        try:
            self._jsonl.write(json.dumps({**head, **content}) + "\n")
            self._jsonl.flush()
        except OSError as e:
            raise unwritable(self._jsonl_path, e) from e

    def later(self, work: Callable[[], None]) -> None:
        """Do something in the thread, after what is waiting there."""
        self._work.put(lambda writer: work())

    def figure(
        self,
        name: str,
        epoch: int,
        step: int,
        draw: Callable[[], Any],
        make_stamp: Callable[[], Stamp] | None = None,
        *,
        is_kept: bool = True,
    ) -> None:
        """Draw a figure in the background; into TensorBoard and eval/figures.

        Args:
            name: of what is shown.
            epoch: names the file.
            step: where TensorBoard shows it.
            draw: makes the figure.
            make_stamp: called after the drawing; may wait.
            is_kept: False: into TensorBoard alone.
        """

        def write(writer: Any) -> None:
            if not self._draws:
                return
            from hpctrain.analysis import figures  # matplotlib, in this thread only

            figure = draw()
            if is_kept:
                stamp = make_stamp() if make_stamp else None
                figures.save(figure, figures.figure_path(self._figures, epoch, name), stamp)
            writer.add_image(name, figures.to_array(figure), step, dataformats="HWC")

        self._work.put(write)

    def close(self, *, is_failed: bool = False) -> None:
        """Return when everything is written; of a failed training without the waiting figures."""
        self._draws = not is_failed
        self._work.put(None)
        self._thread.join()
        with suppress(OSError):  # a line that did not fit was told of when it was written
            self._jsonl.close()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            self._attempt(work)
        if self._writer is not None:
            self._attempt(lambda writer: writer.close())

    def _attempt(self, work: Callable[[Any], None]) -> None:
        """Do one piece of work; of a lasting fault, such as a full disk, only the first is told."""
        try:
            if self._writer is None:
                self._open()
            work(self._writer)
        except Exception as e:  # noqa: BLE001 - figures are the task's; the next points must come
            what = str(e) if isinstance(e, OSError) else f"{type(e).__name__}: {e}"
            if what not in self._told:
                logger.warning("a figure or TensorBoard point could not be written: %s", what)
            self._told.add(what)

    def _open(self) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        threading.excepthook = _print_no_system_error
        # Points of steps that an end took away are hidden, and those of the checkpoint's own step
        # are not: its log line and validation are not made again.
        self._writer = SummaryWriter(str(self._log_dir), purge_step=self._purge_step, flush_secs=10)
        if self._make_stamp is not None:
            text = f"    {self._make_stamp().text}"  # as code in Markdown
            self._writer.add_text("provenance", text, self._purge_step - 1)


def recorded_losses(run_dir: Path, name: str, before_step: int) -> Iterator[tuple[int, float]]:
    """Step and value of the log lines of one loss, of all starts of a run.

    Args:
        run_dir: the run directory.
        name: of the loss.
        before_step: lines from here on are left out.
    """
    try:
        with (run_dir / "logs" / "metrics.jsonl").open() as lines:
            for line in lines:
                page = json.loads(line)
                if page["kind"] == "train" and page["step"] < before_step:
                    yield page["step"], float(page.get(f"loss/{name}", math.nan))
    except OSError:
        return


def _print_no_system_error(
    args: threading.ExceptHookArgs, default: Callable[[Any], Any] = threading.excepthook
) -> None:
    """Keep TensorBoard's thread from printing what its next call raises here as well."""
    if not issubclass(args.exc_type, OSError):
        default(args)


def _short(value: float) -> float | str:
    """Seven digits; JSON has no NaN."""
    return float(f"{value:.7g}") if math.isfinite(value) else str(value)


def _drop_after(path: Path, step: int) -> None:
    """Take away lines of steps that will be made again, and a last line cut by a kill."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines(keepends=True):
        try:
            if line.endswith("\n") and json.loads(line)["step"] <= step:
                kept.append(line)
        except ValueError:
            continue
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(kept))
    temporary.replace(path)
