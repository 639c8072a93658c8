"""The exception tree; each branch has its own exit code.

The library raises, only `hpctrain.cli` and `hpctrain.train.__main__` print and exit.
A message says where, what was found, what is allowed and what to do; it starts in lower case.
"""

from __future__ import annotations

from pathlib import Path


class HpctrainError(Exception):
    """Anything that a user can cause or mend."""

    exit_code = 1


class ConfigError(HpctrainError):
    """A job, site or option is wrong."""

    exit_code = 2


class DataError(ConfigError):
    """An input file is missing, truncated, of the wrong shape or holds no numbers."""


class ProvenanceError(ConfigError):
    """A file does not say where it is from, or something else than it should."""


class RenderError(HpctrainError):
    """A run directory cannot be written."""

    exit_code = 3


class SchedulerError(HpctrainError):
    """The scheduler is missing, refused, or answered nonsense."""

    exit_code = 4


class SubmitError(SchedulerError):
    """A job was not handed in: it may not be, or the scheduler refused it."""


class JobNotFoundError(SchedulerError):
    """A run has no job that the scheduler could be asked for."""


class LaunchError(HpctrainError):
    """The launcher started something else than the job asked for."""

    exit_code = 5


class BusyError(LaunchError):
    """Another start is training in the same run directory."""


class TrainError(HpctrainError):
    """The training itself failed."""

    exit_code = 6


class CheckpointError(TrainError):
    """A checkpoint is torn, altered, from another run, or cannot be written."""


class NonFiniteLossError(TrainError):
    """A loss or a gradient is NaN or infinite."""


class StagingError(TrainError):
    """Files cannot be copied to the node; they are read in place, so that it ends no training."""


def unwritable(path: Path, error: OSError) -> TrainError:
    """What to say when a file of the run directory cannot be written."""
    return TrainError(
        f"{path}: cannot be written ({error.strerror}); make room or mend the permissions, and "
        "start the run again"
    )


class ImageError(HpctrainError):
    """An image cannot be built or entered."""

    exit_code = 7


EXIT_STOPPED = 75
"""Exit code of a training that saved and left before its end, and wants to be started again."""
