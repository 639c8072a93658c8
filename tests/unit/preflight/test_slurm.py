"""What Slurm 22.05 said, and what is made of it."""

from pathlib import Path

import pytest

from hpctrain.preflight import slurm
from tests.jobs import BATCH, mantle

FITS = (
    "sbatch: Job 16 to start at 2026-11-21T11:23:56 using 2 processors on nodes nid01 in "
    "partition regular"
)
REFUSED = "allocation failure: Requested time limit is invalid (missing or exceeds some limit)"
PLUGINS = (
    "MPI plugin types are...\n\tpmix\n\tnone\n\tcray_shasta\n\tpmi2\n"
    "specific pmix plugin versions available: pmix_v4\n"
)


def found(site: str = "generic-slurm", script: str = "#!/bin/sh\n"):
    resolved = mantle(site, *BATCH)
    return [(f.severity, f.text) for f in slurm.slurm_findings(resolved.job, resolved.site, script)]


@pytest.mark.parametrize(
    ("words", "code", "severity", "text"),
    [
        (FITS, 0, "note", f"Slurm says: {FITS}"),
        (REFUSED, 1, "error", f"Slurm refuses the script: {REFUSED}"),
        (
            "sbatch: error: Unable to contact slurm controller (connect failure)",
            1,
            "warning",
            "Slurm does not answer: sbatch: error: Unable to contact slurm controller (connect",
        ),
    ],
)
def test_test_only__its_own_words(programs, words, code, severity, text):
    programs.add("sbatch", err=words + "\n", code=code)
    ((kind, said),) = found()
    assert kind == severity
    assert said.startswith(text)


def test_test_only__gets_the_script_and_leaves_nothing(programs, tmp_path):
    programs.add("sbatch", body=f'cat "$2" >{tmp_path}/seen; echo "$2" >{tmp_path}/path')
    found(script="#!/bin/sh\n#SBATCH --time=1\n")
    assert (tmp_path / "seen").read_text() == "#!/bin/sh\n#SBATCH --time=1\n"
    assert programs.words("sbatch")[0].startswith("--test-only /")
    assert (tmp_path / "path").read_text().endswith("run.slurm\n")
    assert not Path((tmp_path / "path").read_text().strip()).parent.exists()


def test_test_only__no_sbatch_is_a_note(programs):
    ((severity, text),) = found()
    assert severity == "note"
    assert "there is no sbatch here" in text


def test_test_only__a_late_answer_is_a_warning(programs, monkeypatch):
    programs.add("sbatch", body="exec sleep 20")
    monkeypatch.setattr("hpctrain.preflight.ask.TIMEOUT_S", 0.2)
    ((severity, text),) = found()
    assert (severity, text) == ("warning", "`sbatch` did not answer within 0.2 s")


@pytest.fixture
def site(tmp_path):
    def make(mpi: str) -> str:
        path = tmp_path / "mine.yaml"
        launcher = f"{{kind: srun, args: ['--mpi={mpi}']}}"
        path.write_text(f"name: mine\ntitle: x\nscheduler: slurm\nlauncher: {launcher}\n")
        return str(path)

    return make


@pytest.mark.parametrize("mpi", ["pmix", "pmix_v4", "pmi2", "none"])
def test_mpi_list__what_is_offered(programs, site, mpi):
    programs.add("sbatch", err=FITS)
    programs.add("srun", out=PLUGINS)
    assert [severity for severity, _ in found(site(mpi))] == ["note"]


def test_mpi_list__what_is_not(programs, site):
    programs.add("sbatch", err=FITS)
    programs.add("srun", err=PLUGINS)  # older versions say it there
    _, (severity, text) = found(site("pmix_v3"))
    assert severity == "error"
    assert text == (
        "srun has no --mpi=pmix_v3 here; it offers cray_shasta, none, pmi2, pmix, pmix_v4; "
        "change launcher.args of the site"
    )
