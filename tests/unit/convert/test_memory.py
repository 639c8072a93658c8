"""Memory does not grow with the size of the source: measured in a process of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.io import netcdf_file

REPO = Path(__file__).resolve().parents[3]
CHILD = """
import sys
from pathlib import Path

import tifffile, zarr

import hpctrain.convert.command
from tests.unit.convert.builders import run

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3

source, to, out = sys.argv[1:]
Path("/proc/self/clear_refs").write_text("5")
before = peak()
run(Path(source), to, Path(out), memory_mb=16)
print(peak() - before)
"""


def growth_mb(source: Path, to: str, out: Path) -> float:
    """How much a conversion adds to the memory of its process."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, source, to, out], cwd=REPO, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def layers(folder: Path, **options) -> Path:
    folder.mkdir()
    layer = np.random.default_rng(0).integers(0, 4000, (900, 1000)).astype(np.uint16)
    for z in range(80):
        tifffile.imwrite(folder / f"{z:03d}.tif", np.roll(layer, z, axis=0), **options)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"compression": "lzw"}], ids=["plain", "lzw"])
def test_memory__volume_of_144_mb(tmp_path, options):
    source = layers(tmp_path / "layers", **options)
    assert growth_mb(source, "zarr", tmp_path / "out") < 100


@pytest.mark.slow
def test_memory__fields_of_52_and_of_260_mb(tmp_path):
    growth = []
    for count in (1, 5):
        with netcdf_file(tmp_path / f"m{count}.nc", "w", version=2) as f:
            for name, size in (("lat", 180), ("r", 201), ("lon", 360)):
                f.createDimension(name, size)
            values = np.random.default_rng(0).standard_normal((180, 201, 360), np.float32)
            for number in range(count):
                f.createVariable(f"v{number}", "f", ("lat", "r", "lon"))[:] = values + number
        growth.append(growth_mb(tmp_path / f"m{count}.nc", "npy", tmp_path / f"out{count}"))
    # pages of the mapped source count as well, so that a small one takes what a large one does
    assert growth[1] < 130
    assert growth[1] - growth[0] < 60
