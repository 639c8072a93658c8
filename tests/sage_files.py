"""Real files of Mobotix cameras, which may not be copied into the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("HPCTRAIN_TEST_DATA", "/work/shared/data")) / "sage"

needs_real_files = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no real camera files in {FOLDER} (set HPCTRAIN_TEST_DATA)"
)
