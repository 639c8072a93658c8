"""Charliecloud: ch-run."""

from __future__ import annotations

from hpctrain.engines.base import LIBRARY_PATH, Box, Engine, without_options
from hpctrain.shell_words import ShellText, ShellVariable


class CharliecloudEngine(Engine):
    """`ch-run IMAGE -- PROGRAM`; ch-run(1).

    An image is a folder or a SquashFS file, and places to bind at must be in it. The whole
    environment of the host is handed on; that of the image is left to the program. GPUs need no
    flag: `ch-fromhost --nvidia IMAGE` puts the driver's libraries into the image, once.
    """

    program = "ch-run"
    reads_image_environment = False

    def command(self, box: Box) -> list[str]:
        """With one namespace the first rank of a node makes it and the others join."""
        words = [self.program]
        if box.ranks_per_node:
            words.append(f"--join-ct={box.ranks_per_node}")
            words.append(ShellText("--join-tag=", ShellVariable("HPCTRAIN_LAUNCH_ID")))
        words += box.args
        for bind in box.binds:
            words += ["--bind", without_options(bind)]
        if box.workdir:
            words += ["--cd", box.workdir]
        # else libraries of the host's own MPI might be looked for in the image
        words.append("--unset-env=LD_LIBRARY_PATH")
        if box.library_path:
            words.append(ShellText("--set-env=LD_LIBRARY_PATH=", LIBRARY_PATH))
        if box.env:
            words.append("--env-no-expand")
        words += [ShellText(f"--set-env={name}={value}") for name, value in sorted(box.env.items())]
        return [*words, box.image, "--"]

    def inspect(self, image: str) -> list[str]:
        """The file in which apptainer keeps labels; ch-run has none of its own."""
        return [self.program, image, "--", "cat", "/.singularity.d/labels.json"]
