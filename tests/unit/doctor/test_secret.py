"""What is kept off the page and out of the ticket."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpctrain.doctor import gpus, pmi, watched
from hpctrain.doctor.environment import environment_topic
from hpctrain.doctor.plan import Plan, own_job
from hpctrain.doctor.ranks import launch_topic
from hpctrain.doctor.secret import Masker, is_secret
from hpctrain.launchers import choose_launcher
from hpctrain.preflight.ask import Answer
from tests.jobs import BATCH, mantle
from tests.unit.doctor.notes import ranks

SECRET = "hf_abcdefghijkl"
"""Masked wherever it stands in full; half of it would not be known."""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((n, True) for n in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "MY_API_KEY")),
        *((n, True) for n in ("SSH_AUTH_SOCK", "MUNGE_KEY", "PGPASS", "github_token")),
        *((n, True) for n in ("APPTAINER_ENCRYPTION_PEM_DATA", "APPTAINER_ENCRYPTION_PASSPHRASE")),
        *((n, True) for n in ("SINGULARITY_ENCRYPTION_PEM_PATH", "APPTAINER_DOCKER_PASSWORD")),
        *((n, True) for n in ("HTTP_AUTHORIZATION", "NPM_AUTH", "SLURM_JWT", "SESSION_ID")),
        *((n, False) for n in ("PATH", "KEYBOARD", "NCCL_DEBUG", "MONKEY", "COMPASS_DIR")),
        *((n, False) for n in ("GIT_AUTHOR_NAME", "AUTHOR", "AUTHORS", "XDG_SESSION_CLASS")),
    ],
)
def test_is_secret(name: str, expected: bool) -> None:
    assert is_secret(name) is expected


def test_masker__page_keeps_its_form(tmp_path: Path) -> None:
    sock = str(tmp_path)
    masker = Masker({"HF_TOKEN": "hf_abcdef", "SSH_AUTH_SOCK": sock, "X_KEY": "1"})
    page = {
        "a": ["see hf_abcdef", 1, None, {"HF_TOKEN": "z"}],
        "proxy": "http://me:pw@proxy:3128/1",
        "path": sock,
    }
    assert masker.page(page) == {
        "a": ["see ***", 1, None, {"HF_TOKEN": "***"}],
        "proxy": "http://***@proxy:3128/1",
        "path": sock,
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("alice:pw@proxy:3128", "***@proxy:3128"),
        ("http://alice:p@ssw0rd/x@proxy", "http://***@proxy"),
        ("http://alice:p/w@proxy:3128/", "http://***@proxy:3128/"),
        ("http://al/ce@proxy", "http://***@proxy"),
        ("http://proxy:3128", "http://proxy:3128"),
    ],
)
@pytest.mark.parametrize("name", ["https_proxy", "ALL_PROXY", "APPTAINERENV_http_proxy"])
def test_masker__login_of_a_proxy(name: str, value: str, expected: str) -> None:
    env = {name: value}
    masker = Masker(env)
    assert masker.value(name, value) == expected
    topic = environment_topic(env, masker, is_in_job=False)
    assert topic.facts["set"] == {name: expected}
    assert masker.page({"environment": {name: value}}) == {"environment": {name: expected}}


@pytest.mark.parametrize("value", ["alice:pw@proxy:3128", "http://alice:pw@proxy:3128"])
def test_masker__login_of_a_proxy_in_what_a_program_prints(value: str) -> None:
    masker = Masker({"https_proxy": value})
    assert masker.text("pip: cannot reach alice:pw@proxy:3128") == (
        "pip: cannot reach ***@proxy:3128"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("at http://alice:p@ssw0rd/x@proxy now", "at http://***@proxy now"),
        ("at https://alice:a/b@host/x", "at https://***@host/x"),
        ("at https://token@host/x", "at https://***@host/x"),
        ("at http://host:3128/who@where", "at http://host:3128/who@where"),
        ("docker://host/image@sha256:ab", "docker://host/image@sha256:ab"),
        ("export PGPASS=abc WORLD=abc", "export PGPASS=*** WORLD=abc"),
        ("set (X_KEY=a,b,), Y_KEY=c; Z=d", "set (X_KEY=***,), Y_KEY=***; Z=d"),
    ],
)
def test_masker__text_of_no_variable(text: str, expected: str) -> None:
    assert Masker({}).text(text) == expected


def test_masker__author_is_no_secret() -> None:
    env = {"GIT_AUTHOR_NAME": "hpcuser"}
    assert Masker(env).text("/home/hpcuser/runs") == "/home/hpcuser/runs"


def test_masker__value_with_a_slash_unless_it_is_a_path_here(tmp_path: Path) -> None:
    masker = Masker({"API_KEY": "/aBcD+eF/123456", "KRB_KEY": str(tmp_path), "X_KEY": "/"})
    assert masker.text("got /aBcD+eF/123456") == "got ***"
    assert masker.text(f"in {tmp_path} or /") == f"in {tmp_path} or /"


def test_masker__short_value_as_a_word_of_its_own() -> None:
    masker = Masker({"DB_PASSWORD": "x7Qp", "MY_AUTH": "none", "SESSION": "0"})
    assert masker.text("login x7Qp, none of 10 in x7Qpq") == "login ***, none of 10 in x7Qpq"


def test_masker__each_line_of_a_key() -> None:
    pem = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----"
    masker = Masker({"APPTAINER_ENCRYPTION_PEM_DATA": pem})
    assert "MIIE" not in masker.text("error in MIIEvQIBADANBg kqhkiG9w0BAQEF")
    assert "kqhk" not in masker.text(pem.replace("\n", " "))


def test_launch__words_are_masked_before_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    found = ranks(code=7, err="x" * 292 + " " + SECRET)
    (line,) = launch_topic(found, Plan(own_job("local")), "mpirun").lines
    assert "hf_" not in Masker({"HF_TOKEN": SECRET}).text(line.text)


def test_gpus__words_are_masked_before_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    words = SECRET + "x" * 192
    monkeypatch.setattr(gpus, "ask", lambda *_, **__: Answer(1, "", words))
    assert "ijkl" not in gpus.ask_driver().problem


def test_pmi__words_are_masked_before_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    words = SECRET + "x" * 152
    monkeypatch.setattr(pmi, "ask", lambda *_, **__: Answer(1, "", words))
    job = mantle("generic-slurm", *BATCH)
    (line,) = pmi.pmi_topic(choose_launcher(job.job, job.site), {}, {}, "auto").lines
    assert "ijkl" not in line.text


def test_watch__tail_begins_with_a_whole_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "_MOST_BYTES", 20)
    done = watched.watch(["sh", "-c", f"echo {SECRET}; echo and then this"], 10)
    assert done.words == ["and then this"]
    assert watched.watch(["echo", "short"], 10).words == ["short"]
