"""#SBATCH lines as sbatch reads them.

Only a line that starts with `#SBATCH` in its first column counts; reading ends at the first line
that is neither blank nor a comment. Quotes work, a `#` ends the line. The words of all lines make
one command line, of which the last of several equal options wins (Slurm src/sbatch/opt.c).
"""

from __future__ import annotations

from hpctrain.directives.getopt import Options, Table, Word
from hpctrain.directives.model import Directive, Fault, Reading
from hpctrain.directives.shell import heredoc_lines
from hpctrain.directives.words import UnbalancedQuoteError, split_words

PREFIX = "#SBATCH"

_VALUE = """account array acctg-freq batch bb bbf begin chdir cluster-constraint clusters comment
constraint container container-id core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task
deadline delay-boot dependency distribution error exclude export export-file extra
extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node gpus-per-socket gpus-per-task gres
gres-flags hint input job-name licenses mail-type mail-user mcs-label mem mem-bind mem-per-cpu
mem-per-gpu mincpus network nodefile nodelist nodes ntasks ntasks-per-core ntasks-per-gpu
ntasks-per-node ntasks-per-socket open-mode output partition power prefer priority profile qos
reservation resv-ports segment signal sockets-per-node switches thread-spec threads-per-core time
time-min tmp tres-bind tres-per-task uid wait-all-nodes wckey
kill-on-invalid-dep tasks-per-node workdir wrap"""
_OPTIONAL = "exclusive get-user-env nice no-kill parsable propagate"
_FLAG = """contiguous help hold ignore-pbs no-requeue oom-kill-step overcommit oversubscribe
quiet reboot requeue share spread-job stepmgr test-only usage use-min-nodes verbose version
wait"""

TABLE = Table(
    long={
        **dict.fromkeys(_VALUE.split(), "value"),
        **dict.fromkeys(_OPTIONAL.split(), "optional"),
        **dict.fromkeys(_FLAG.split(), "flag"),
    },
    short={
        **{"A": "account", "a": "array", "b": "begin", "B": "extra-node-info"},
        **{"c": "cpus-per-task", "C": "constraint", "d": "dependency", "D": "chdir"},
        **{"e": "error", "F": "nodefile", "G": "gpus", "h": "help", "H": "hold", "i": "input"},
        **{"J": "job-name", "k": "no-kill", "L": "licenses", "m": "distribution"},
        **{"M": "clusters", "n": "ntasks", "N": "nodes", "O": "overcommit", "o": "output"},
        **{"p": "partition", "q": "qos", "Q": "quiet", "s": "oversubscribe", "S": "core-spec"},
        **{"t": "time", "u": "usage", "v": "verbose", "V": "version", "w": "nodelist"},
        **{"W": "wait", "x": "exclude"},
    },
    names={"tasks-per-node": "--ntasks-per-node", "workdir": "--chdir", "share": "--oversubscribe"},
)


def read_slurm(text: str) -> Reading:
    """All directives of a script, and where their reading ends."""
    lines = text.replace("\r\n", "\n").split("\n")
    end = next((n for n, line in enumerate(lines) if is_command(line)), len(lines))
    words: list[Word] = []
    faults: list[Fault] = []
    for number, line in enumerate(lines[:end], 1):
        if not line.startswith(PREFIX):
            continue
        try:
            found = split_words(line[len(PREFIX) :], is_slurm=True)
        except UnbalancedQuoteError as e:
            faults.append(Fault(number, "quote", str(e)))
            continue
        words += [(number, line, word) for word in found]
    options = Options(TABLE, words, stops_at_stray=False)
    directives = [*options.directives, *_ignored(lines, end, text)]
    return Reading("slurm", tuple(directives), (*faults, *options.faults), end + 1)


def is_command(line: str) -> bool:
    """Whether a line ends the directives: it is neither blank nor a comment."""
    bare = line.lstrip()
    return bool(bare) and not bare.startswith("#")


def _ignored(lines: list[str], end: int, text: str) -> list[Directive]:
    inside = heredoc_lines(text)
    late = f"it stands behind the first command, in line {end + 1}"
    found = []
    for number, line in enumerate(lines, 1):
        if not line.lstrip().startswith(PREFIX) or number in inside:
            continue
        if number > end:
            found.append(Directive(number, line, is_read=False, why_ignored=late))
        elif not line.startswith(PREFIX):
            why = "it does not start in the first column"
            found.append(Directive(number, line, is_read=False, why_ignored=why))
    return found
