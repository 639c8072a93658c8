"""Validate RO-Crates with roc-validator, without a network; runs in an environment of its own.

    python validate_crate.py CONTEXT SEVERITY CRATE...

CONTEXT is the JSON-LD context that the `rocrate` package brings along, of RO-Crate 1.3. With the
four terms that meant something else in 1.1 it is served as https://w3id.org/ro/crate/1.1/context;
any other address is an error. Prints one JSON object: for each crate the failed checks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

SERVED = "https://w3id.org/ro/crate/1.1/context"
TERMS_OF_1_1 = {
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}


class Answer:
    """As much of an HTTP response as the validator looks at."""

    status_code = 200
    headers = {"Content-Type": "application/ld+json"}

    def __init__(self, page: object) -> None:
        self.page, self.text = page, json.dumps(page)

    def json(self) -> object:
        return self.page


def main() -> None:
    context, severity, *crates = sys.argv[1:]
    page = json.loads(Path(context).read_text())
    page["@context"].update(TERMS_OF_1_1)

    def get(self: HttpRequester, url: str, **options: object) -> Answer:
        if url != SERVED:
            raise RuntimeError(f"{url}: is not here, and there is no network")
        return Answer(page)

    HttpRequester.get = get
    print(json.dumps({crate: check(crate, severity) for crate in crates}, indent=1))


def check(crate: str, severity: str) -> dict[str, object]:
    result = services.validate(
        services.ValidationSettings(
            rocrate_uri=crate,
            profile_identifier="workflow-run-crate",
            requirement_severity=models.Severity[severity],
            offline=True,
            skip_availability_check=True,
        )
    )
    return {
        "profiles": sorted({c.requirement.profile.identifier for c in result.executed_checks}),
        "executed": len(result.executed_checks),
        "issues": sorted(
            {f"{issue.check.identifier}: {issue.message}" for issue in result.get_issues()}
        ),
    }


if __name__ == "__main__":
    main()
