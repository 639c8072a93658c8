"""Apptainer, and Singularity (CE, Pro, or before the name changed)."""

from __future__ import annotations

import json
import re

from hpctrain.engines.base import Box, Engine, labels_of


class ApptainerEngine(Engine):
    """`apptainer exec`; apptainer-exec(1).

    The host's environment is handed on, but for PATH and LD_LIBRARY_PATH; never --cleanenv, which
    would strip the rank variables and the mask.
    """

    program = "apptainer"
    prefix = "APPTAINERENV_"
    binds_variable = "APPTAINER_BIND"
    makes_namespaces = True

    def command(self, box: Box) -> list[str]:
        """`--nv` and `--rocm` show all GPUs; the mask of rank.sh says which are used."""
        words = [self.program, "exec"]
        if box.device:
            words.append("--nv" if box.device == "cuda" else "--rocm")
        if box.ranks_per_node:
            # ranks are children of one daemon of the launcher, as rank.sh becomes the engine
            words.append("--sharens")
        words += box.args
        for bind in box.binds:
            words += ["--bind", bind]
        return [*words, *(["--pwd", box.workdir] if box.workdir else []), box.image]

    def inspect(self, image: str) -> list[str]:
        """Needs no container to be started."""
        return [self.program, "inspect", "--labels", "--json", image]

    def escaped(self, value: str) -> str:
        """It evaluates values as a shell does between double quotes, unless --no-eval is given."""
        return re.sub(r"([\\$`])", r"\\\1", value)

    def read_labels(self, text: str) -> dict[str, str]:
        """They lie in `data.attributes`; a folder may have none."""
        page = json.loads(text)
        try:
            return labels_of(page["data"]["attributes"].get("labels"))
        except (LookupError, TypeError, AttributeError) as e:
            raise ValueError(f"{self.program} inspect answered {text[:80]!r}") from e


class SingularityEngine(ApptainerEngine):
    """`singularity exec`; knows the same words, but for --sharens.

    Apptainer's own alias warns of the old prefix and takes it.
    """

    program = "singularity"
    prefix = "SINGULARITYENV_"
    binds_variable = "SINGULARITY_BIND"
