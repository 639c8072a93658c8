"""Faults of batch scripts that a scheduler does not tell, found before they are queued."""

from hpctrain.lint.check import Finding as Finding
from hpctrain.lint.check import keep_codes as keep_codes
from hpctrain.lint.check import lint_text as lint_text
from hpctrain.lint.table import RULES as RULES
from hpctrain.lint.table import Rule as Rule

__all__ = ["RULES", "Finding", "Rule", "keep_codes", "lint_text"]
