"""Predictions set the package's log up here, too."""

from tests.unit.predict.conftest import _log_as_it_was as _log_as_it_was
