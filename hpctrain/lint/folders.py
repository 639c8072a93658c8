"""Where a job starts, where its output goes, and what becomes of it."""

from __future__ import annotations

import re

from hpctrain.lint.script import Finds, Script

_OUTPUTS = {
    "pbs": ("-o", "-e"),
    "slurm": ("--output", "--error"),
    "cobalt": ("--output", "--error", "--outputprefix", "--debuglog"),
}
_BUILTINS = r"cd|pushd|echo|export|set|module|ml|source|\.|unset|trap|ulimit|date|hostname|exit|:"
_OWN_PLACE = (
    r"\$\(?\s*(?:dirname|realpath|readlink(?:\s+-\w+)?)\s+(?:--\s+)?\"?\$\{?(?:0|BASH_SOURCE)"
)


def no_cd(script: Script) -> Finds:
    """HT040."""
    if any(re.match(r"(?:builtin\s+)?(?:cd|pushd)\b", c.text) for c in script.commands):
        return
    if script.has(r"(?:^|[\s;&|({])(?:cd|pushd)\s"):
        return
    for command in script.commands:
        word = command.text.split()[0]
        if not re.fullmatch(rf"(?:{_BUILTINS})|\w+=.*|\[.*", word, re.DOTALL):
            text = "PBS starts the script in your home folder, and nothing here changes that"
            yield command.line, f'{text}; write cd "$PBS_O_WORKDIR" below the directives'
            return


def no_log_folder(script: Script) -> Finds:
    """HT041."""
    if script.has_folder is None or script.scheduler is None:
        return
    outcome = {
        "pbs": "PBS keeps the output and may hold the job",
        "slurm": "the job fails without a word (0:53)",
        "cobalt": "Cobalt refuses the job",
    }[script.scheduler]
    for directive in script.options(*_OUTPUTS[script.scheduler]):
        path = re.sub(r"^[\w.-]+:(?=/)", "", directive.value or "")
        # a placeholder may end a folder's name, so what is left of it says nothing
        folder = re.split(r"[%$^~]", path)[0].rpartition("/")[0]
        if folder and not script.has_folder(folder):
            text = f"the folder {folder} is not there, so {outcome}"
            yield directive.line, f"{text}; mkdir -p it before the job is submitted"


def truncated(script: Script) -> Finds:
    """HT042."""
    requeues = script.has(r"\bscontrol\s+requeue\b")
    mode = script.reading.value("--open-mode")
    if mode == "append":
        return
    for directive in script.options("--requeue"):
        text = "the output is emptied when the job starts again"
        yield directive.line, f"{text}; add #SBATCH --open-mode=append"
        return
    if requeues:
        line = next(script.search(r"\bscontrol\s+requeue\b"))[0]
        text = "the output is emptied when the job starts again"
        yield line, f"{text}; add #SBATCH --open-mode=append"


def own_place(script: Script) -> Finds:
    """HT043."""
    variable = "PBS_O_WORKDIR" if script.scheduler == "pbs" else "SLURM_SUBMIT_DIR"
    for line, _ in script.search(rf"{_OWN_PLACE}|\$\{{(?:0|BASH_SOURCE(?:\[0\])?)%"):
        text = "the scheduler runs a copy of the script, so $0 is in its own spool folder"
        yield line, f"{text}; use ${variable}, or the full path"
