"""The reference page of everything that a template may use."""

from __future__ import annotations

from schema_tables import row, table

from hpctrain.render.variables import BLOCKS, FILTERS, VARIABLES


def templates_page() -> list[str]:
    """Names, filters and blocks."""
    return [
        "What a template of the run script may use, beside Jinja itself. `hpctrain template vars",
        "JOB` prints the same with the values of a job. A name that is not here is an error.",
        "[Write a run script of your own](../how-to/write-a-template.md) says how.",
        "",
        "## variables",
        "",
        *table("name", "value", "meaning"),
        *(row(f"`{name}`", kind, text) for name, (kind, text) in VARIABLES.items()),
        "",
        "The keys of `job` are those of the [job file](job.md), those of `site` of the [site",
        "file](site.md). A walltime is a number of seconds here.",
        "",
        "## filters",
        "",
        *table("name", "meaning"),
        *(row(f"`{name}`", text) for name, text in FILTERS.items()),
        "",
        "## blocks",
        "",
        "In the order of the script.",
        "",
        *table("name", "meaning"),
        *(row(f"`{name}`", text) for name, text in BLOCKS.items()),
    ]
