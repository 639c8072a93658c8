"""Ask a program of the host; it may be missing, late, or unwilling."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

TIMEOUT_S = 30.0
"""How long a program may take; schedulers under load are slow."""


@dataclass(frozen=True)
class Answer:
    """What a program said.

    Attributes:
        code: its exit code.
        out: standard output.
        words: all that it said, on one line.
    """

    code: int
    out: str
    words: str


class SilentError(Exception):
    """A program did not answer; the text says which and how."""


def ask(
    argv: Sequence[str],
    timeout_s: float | None = None,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Answer | None:
    """Run a program, for TIMEOUT_S at most; None where there is no such program.

    Args:
        argv: the command.
        timeout_s: another patience.
        cwd: where it runs.
        env: more variables of its environment.

    Raises:
        SilentError: it did not answer in time, or could not be started.
    """
    if shutil.which(argv[0]) is None:
        return None
    patience = TIMEOUT_S if timeout_s is None else timeout_s
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            check=False,
            timeout=patience,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C", **(env or {})},
        )
    except subprocess.TimeoutExpired as e:
        raise SilentError(f"`{argv[0]}` did not answer within {patience:g} s") from e
    except OSError as e:
        raise SilentError(f"`{argv[0]}` could not be started: {e.strerror}") from e
    out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    return Answer(done.returncode, out, " ".join(f"{err} {out}".split()))
