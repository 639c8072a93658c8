"""Jobs, sites and inputs for tests, read and checked the way the command line does it."""

from __future__ import annotations

from pathlib import Path

from hpctrain.config.load import Resolved, read_job, resolve
from hpctrain.render import CodeTree, Inputs

REPO = Path(__file__).resolve().parents[1]

BATCH = (
    "resources.nodes=2",
    "resources.ranks_per_node=4",
    "resources.cpus_per_rank=8",
    "resources.account=Project1",
    "train.global_batch_size=8",
)
"""Settings that fit every batch site."""


def mantle(site: str = "local", *settings: str) -> Resolved:
    """The shipped job on a site, with `--set` values."""
    draft = read_job(Path("jobs/mantle.yaml"), settings, REPO)
    return resolve(draft, site)


def inputs(
    run_dir: str = "/home/user/jobs/mantle", python: str = "/home/user/venv/bin/python"
) -> Inputs:
    """Inputs that depend on nothing here."""
    return Inputs(
        run_dir=run_dir,
        cwd="/home/user",
        python=python,
        version="0.0.0",
        code=CodeTree({"hpctrain/__init__.py": b"", "hpctrain/py.typed": b""}, "abc123", b""),
        index_csv="id,split\n0,train\n",
        index_json="{}\n",
        container_files={"code/build_horovod.sh": b"#!/bin/sh\n"},
    )
