"""Words of the site that hide from an image what the launcher lays down on its node."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence

from hpctrain.config.finding import Finding, warning
from hpctrain.config.job import Job
from hpctrain.config.site import Site
from hpctrain.engines import Engine
from hpctrain.preflight.images.check import wanted_by

_FILES = "/tmp"  # noqa: S108
_WITH_VALUE = ("--no-mount", "-S", "--scratch", "-B", "--bind")


def shown_findings(job: Job, site: Site, engine: Engine, where: str) -> Iterator[Finding]:
    """Words that hide /tmp under mpirun; srun's PMIx was seen to start ranks in spite of it.

    Seen with Open MPI 5.0.7 in an image and 5.0.11 outside: each of these aborts it. Binding /tmp
    and /dev/shm by hand beside `--contain` did not help.
    """
    wanted, own = wanted_by(job, site), site.container
    is_sites = job.container is not None and job.container.engine in (None, own.engine)
    if not (is_sites and engine.binds_variable and wanted.needs_mpi):
        return
    if wanted.launcher.kind != "openmpi":
        return
    if contain := next((word for word in own.args if _contains(word)), None):
        text = f"{contain} in container.args of site {site.name} hides /tmp and /dev/shm of the"
        text += " node, in which ranks find their launcher and each other: Open MPI 5 in the image"
        yield warning(where, f"{text} aborts, and Open MPI 4 is left with TCP; leave it out")
    elif hiding := next(_hiding(own.args), None):
        text = f"{hiding} in container.args of site {site.name} hides /tmp of the node, in which"
        text += " ranks find their launcher: Open MPI 5 in the image aborts"
        yield warning(where, f"{text}; leave it out")


def _contains(word: str) -> bool:
    # pflag takes -pc for -p -c; what follows B, H, o, S or W is a value
    letters = re.match(r"-([^\W\d_BHoSW]+)", word)
    return word.partition("=")[0] == "--contain" or bool(letters and "c" in letters[1])


def _hiding(args: Sequence[str]) -> Iterator[str]:
    """Options with the value that takes /tmp away or lays another folder over it."""
    for place, word in enumerate(args):
        name, has_value, value = word.partition("=")
        written = word
        if word[:2] in ("-S", "-B") and len(word) > 2:
            name, value = word[:2], word[2:].removeprefix("=")
        elif not has_value and name in _WITH_VALUE and place + 1 < len(args):
            value = args[place + 1]
            written = f"{word} {value}"
        if name in _WITH_VALUE and any(_is_over(name, part) for part in value.split(",")):
            yield written


def _is_over(name: str, part: str) -> bool:
    if name == "--no-mount":
        return part == "tmp"
    source, _, rest = part.partition(":")
    target = rest.partition(":")[0] or source
    if posixpath.normpath(target) != _FILES:
        return False
    return name in ("-S", "--scratch") or posixpath.normpath(source) != _FILES
