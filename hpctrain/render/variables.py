"""What a template of the run script may use: every name, with type and meaning.

A test compares these tables with the real context and the real templates.
"""

from __future__ import annotations

VARIABLES: dict[str, tuple[str, str]] = {
    "job": ("block", "The whole job file, with all defaults: `job.name`, `job.train.epochs`, ..."),
    "site": ("block", "The machine's profile, as the job's queue sees it."),
    "resources": ("block", "`resources:` of the job: `resources.nodes`, `resources.queue`, ..."),
    "macros": ("names and values", "`macros:` of the job file: `macros.NAME`."),
    "run_dir": ("text", "Absolute path of the run directory."),
    "walltime": ("text", "Walltime of one job as HH:MM:SS; `resources.walltime` is in seconds."),
    "command_lines": ("list of texts", "Lines of the command that starts all ranks, quoted."),
    "unstage_lines": (
        "list of texts",
        "Lines of the command that takes copies of the data off the nodes; empty: there are none.",
    ),
    "image": (
        "block or none",
        "The job's image: `path`, `program`, `exports`, `copy_lines`, ...; none: no container.",
    ),
    "launcher": ("block", "What starts the ranks: `kind`, `program`, `is_torchrun`, ..."),
    "is_horovod_likely": ("true or false", "Whether Horovod may send the gradients, in buckets."),
    "chain": ("block or none", "`max_jobs` and `how` of a chain; none: a single job."),
    "warning_s": ("whole number", "How long before its end the job asks for a checkpoint."),
    "extra_directives": ("list of texts", "Further directives, those of the site first."),
    "gpus_per_node": ("whole number", "GPUs to ask for on each node; 0: none."),
    "filesystems": ("text", "The option that names the job's file systems; empty: none."),
    "chunk": ("text", "PBS: what follows `select=N:`."),
    "pbs_name": ("text", "PBS: the job's name in characters that `qsub -N` takes."),
    "cobalt_attrs": ("text", "Cobalt: value of `--attrs`; empty: none."),
    "bin_dir": ("text", "Folder of the Python on the compute nodes; empty: found in PATH."),
    "has_user_code": ("true or false", "Whether folders under `code:` travel with the run."),
    "version": ("text", "Version of hpctrain."),
}
"""Name to type and meaning."""

FILTERS = {
    "shquote": "One word for the shell, quoted where it needs to be: `{{ macros.dir | shquote }}`.",
    "shwords": "Several words, each quoted again.",
}
"""Filters beside those of Jinja."""

BLOCKS = {
    "shebang": "The first line.",
    "directives": "The lines that the scheduler reads; nothing may stand in front of them.",
    "run": "Sets `$run`, the run directory, to which the script then goes.",
    "job": "Sets `$job_id` and `$deadline` (seconds since 1970).",
    "prepare": "Lines before the launch, after modules and environment.",
    "stop": "What else is done when a signal asks for the end.",
    "traps": "Which signals ask for it.",
    "launch": "Starts all ranks in the background and sets `$pid`.",
    "finish": "What is said at the end; `$code` is the exit code.",
    "preempted": "Tells a job that was thrown out for others from one whose time is up.",
    "resubmit": "Functions that hand in the next job of a chain and move those that wait for it.",
}
"""Blocks of schedulers/base.sh.j2 that a template of one's own may fill anew."""
