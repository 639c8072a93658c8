"""The one place that starts a scheduler's commands."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpctrain.errors import SchedulerError

TIMEOUT_S = 60.0
"""A busy server answers late; later than this it is taken for dead."""

# set in the shell of a job, and never meant for the jobs that are handed in from there
_NOT_PASSED_ON = (
    *("HPCTRAIN_CHAIN_JOB", "SLURM_RESTART_COUNT"),
    *("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
)


@dataclass(frozen=True)
class Answer:
    """What a command said.

    Attributes:
        argv: its words.
        code: its exit code.
        out: what it printed.
        err: what it printed as errors.
    """

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """All it said, for people: its own words, with the command above them."""
        said = [line.rstrip() for line in (self.err + self.out).splitlines() if line.strip()]
        lines = [f"$ {shlex.join(self.argv)}", *(said or [f"(nothing; exit code {self.code})"])]
        return "\n".join(f"  {line}" for line in lines)


class NoAnswerError(SchedulerError):
    """A scheduler's command did not answer in time."""


def run(argv: Sequence[str], cwd: Path | None = None, timeout_s: float = TIMEOUT_S) -> Answer:
    """Start a command and wait for its answer, whatever its exit code.

    Raises:
        SchedulerError: there is no such program, or it cannot be started.
        NoAnswerError: it did not answer in time; it was ended, with all that it had started.
    """
    env = {key: value for key, value in os.environ.items() if key not in _NOT_PASSED_ON}
    try:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError as e:
        raise SchedulerError(
            f"{argv[0]}: no such program in PATH; call this on a login node, or load the module "
            f"that has it; the command was\n  $ {shlex.join(argv)}"
        ) from e
    except OSError as e:
        raise SchedulerError(
            f"{argv[0]}: cannot be started ({e.strerror}); look at the program, or at PATH; the "
            f"command was\n  $ {shlex.join(argv)}"
        ) from e
    with process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as e:
            # a wrapper's children hold the pipes open, so the whole group goes
            os.killpg(process.pid, signal.SIGKILL)
            raise NoAnswerError(
                f"{argv[0]}: no answer within {timeout_s:g} s; the scheduler is busy or down, try "
                f"again later; the command was\n  $ {shlex.join(argv)}"
            ) from e
        except BaseException:  # Ctrl-C: the command is in a session of its own and hears nothing
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return Answer(tuple(argv), process.returncode, out, err)
