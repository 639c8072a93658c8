"""PyTorch's torchrun: one agent a node, which starts the node's ranks."""

from __future__ import annotations

from hpctrain.config.job import Resources
from hpctrain.errors import RenderError
from hpctrain.launchers.base import Launcher, ShellVariable

RENDEZVOUS = ShellVariable("rendezvous")
"""HOST:PORT where the agents meet; the run script computes it."""


def agent_words(python: str, resources: Resources) -> list[str]:
    """Words that start one node's agent; the program of the ranks follows them.

    As in `python -m torch.distributed.run --help`. A rank that ends is never started again: going
    on is the run script's business.

    Args:
        python: interpreter that has torch.
        resources: nodes and ranks asked for.
    """
    words = [python, "-m", "torch.distributed.run"]
    if resources.nodes == 1:
        words += ["--standalone"]  # finds a free port by itself
    else:
        words += ["--nnodes", str(resources.nodes), "--rdzv-backend", "c10d"]
        words += ["--rdzv-endpoint", RENDEZVOUS, "--rdzv-id", ShellVariable("HPCTRAIN_LAUNCH_ID")]
    return [
        *words,
        *("--nproc-per-node", str(resources.ranks_per_node)),
        *("--max-restarts", "0", "--no-python"),
    ]


def agent_resources(resources: Resources, starter: Launcher) -> Resources:
    """What the machine's launcher is told, which starts one agent on each node.

    Raises:
        RenderError: the launcher cannot start one process a node.
    """
    ranks = resources.ranks_per_node
    if starter.fixed_ranks_per_node and ranks > 1:
        raise RenderError(
            f"launch.launcher: torchrun on {resources.nodes} nodes needs one process on each, and "
            f"{starter.program} starts {ranks}, as many as the job has tasks there; "
            "choose site, or nodes: 1"
        )
    own = {
        "ranks_per_node": 1,
        "cpus_per_rank": ranks * resources.cpus_per_rank,
        "gpus_per_rank": ranks * resources.gpus_per_rank,
    }
    return resources.model_copy(update=own)
