"""`hpctrain index downloads`: lists without credentials, and commands that fetch them."""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hpctrain.cli import main

NS = 1678309118000000000
RGB, THERMAL = "6144x2048_position1.jpg", "right_336x252_14bit.thermal.celsius_position1.csv"
BASE = "https://storage.sagecontinuum.org/api/v1/data/sage/mobo/000048b02d"


def record(file, ns=NS, base=BASE, vsn="W02D", **more):
    meta = {"vsn": vsn, "node": "000048b02d", "filename": file}
    return {"timestamp": ns, "name": "upload", "value": f"{base}/{ns}-{file}", "meta": meta, **more}


def saved(path: Path, records) -> Path:
    text = "".join(json.dumps(one) + "\n" for one in records)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def listed(path: Path):
    return {row["target"]: row["url"] for row in csv.DictReader(path.read_text().splitlines())}


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*argv: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as info:
            main(["index", "downloads", *map(str, argv)])
        out, err = capsys.readouterr()
        return info.value.code or 0, out, err

    return call


@pytest.mark.parametrize("name", ["query.json", "query.ndjson.gz"])
def test_list__has_pictures_and_tables_of_each_node(tmp_path, run, name) -> None:
    records = [
        record(RGB),
        record(THERMAL),
        record(RGB, NS + 1, vsn="V017"),
        record(RGB),
        record("sample.flac"),
        record(THERMAL.replace("celsius", "uint"), NS + 2),
        record(RGB, NS + 3, vsn="../x"),
        record(RGB, NS + 4, name="env.temperature", value=3.5),
        record(RGB, NS + 5, value="a b"),
    ]
    _, out, _ = run(saved(tmp_path / name, records))
    found = listed(tmp_path / "downloads.csv")
    assert sorted(found) == [
        f"rgb/V017/{NS + 1}-{RGB}",
        f"rgb/W02D/{NS}-{RGB}",
        f"thermal/W02D/{NS}-{THERMAL}",
    ]
    assert found[f"rgb/W02D/{NS}-{RGB}"] == f"{BASE}/{NS}-{RGB}"
    first, *others = out.splitlines()
    assert first == "downloads.csv: 3 files to fetch, 1 of them without twin"
    for text in ("1 left out: listed already", "1 left out: no upload", "1 left out: no node"):
        assert any(text in line for line in others)
    assert "2 left out: no picture or thermal table" in out
    (tmp_path / "sky/rgb/V017").mkdir(parents=True)
    (tmp_path / f"sky/rgb/V017/{NS + 1}-{RGB}").touch()
    assert "1 left out: there already" in run(tmp_path / name, "--root", "sky")[1]
    assert len(listed(tmp_path / "downloads.csv")) == 2


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ([], "found no QUERY"),
        (["none.json"], "none.json: cannot be read: No such file"),
        (["torn.json"], "torn.json: line 2: is no record of a query"),
        (["secret.json"], "https://...@host/1678309118000000000-a.jpg: holds a user or password"),
        (["torn.json", "--filter", "vsn=W02D"], "--filter: has no effect without --start"),
        (["--start", "-2h", "--filter", "vsn"], "--filter: found 'vsn'; allowed: KEY=VALUE"),
    ],
)
def test_input__that_is_wrong_is_refused(tmp_path, run, argv, text) -> None:
    saved(tmp_path / "torn.json", [record(RGB)])
    torn = tmp_path / "torn.json"
    torn.write_text(torn.read_text() + '{"timestamp": 1, ')
    saved(tmp_path / "secret.json", [record("a.jpg", base="https://me:word@host")])
    code, _, err = run(*argv)
    assert code == 2
    assert text in err
    assert "word@" not in err
    assert not (tmp_path / "downloads.csv").exists()


class Storage(BaseHTTPRequestHandler):
    """Gives the file's own name to whoever has the password."""

    def do_GET(self):  # noqa: N802
        import base64

        wanted = "Basic " + base64.b64encode(b"me:s3cret").decode()
        is_known, content = self.headers.get("Authorization") == wanted, self.path.encode()
        content = content.rpartition(b"/")[2]
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Length", str(len(content) if is_known else 0))
        self.end_headers()
        if is_known:
            self.wfile.write(content[:9] if "/torn/" in self.path else content)

    def log_message(self, *args):
        pass


@pytest.fixture
def storage():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Storage)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/data"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
@pytest.mark.parametrize("way", ["environment", "netrc"])
def test_commands__fetch_with_credentials_that_stand_nowhere(tmp_path, run, storage, way) -> None:
    root, home = tmp_path / "a sky's", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    saved(tmp_path / "query.json", [record(RGB, base=storage), record(THERMAL, base=storage)])
    _, out, _ = run("query.json", "--root", root)
    commands = [line.strip() for line in out.splitlines() if line.startswith("  (")]
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "no_proxy": "127.0.0.1"}
    if way == "environment":
        env |= {"SAGE_USER": "me", "SAGE_PASSWORD": "s3cret"}
    else:
        (home / ".netrc").write_text("machine 127.0.0.1 login me password s3cret\n")
    command = commands[way == "environment"]
    done = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in (f"rgb/W02D/{NS}-{RGB}", f"thermal/W02D/{NS}-{THERMAL}"):
        assert (root / name).read_text() == Path(name).name
    written = [path.read_text() for path in tmp_path.glob("downloads.*")]
    assert len(written) == 2
    assert not any("s3cret" in text for text in (*written, out, done.stdout, done.stderr))
    assert not list(root.rglob("*.part"))
    refused = subprocess.run(["bash", "-c", commands[0]], env={**env, "HOME": "/none"}, check=False)
    assert refused.returncode != 0


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_commands__take_no_part_for_a_file(tmp_path, run, storage) -> None:
    parts = [record(THERMAL, base=f"{storage}/torn"), record(RGB, NS + 1, f"{storage}/torn")]
    saved(tmp_path / "query.json", [record(RGB, base=storage), *parts])
    _, out, _ = run("query.json")
    (command,) = [line.strip() for line in out.splitlines() if 'SAGE_USER"' in line]
    env = {"PATH": os.environ["PATH"], "no_proxy": "127.0.0.1"}
    env |= {"SAGE_USER": "me", "SAGE_PASSWORD": "s3cret"}
    done = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True)
    assert done.returncode != 0
    found = sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "rgb").rglob("*.*"))
    assert found == [f"rgb/W02D/{NS}-{RGB}", f"rgb/W02D/{NS + 1}-{RGB}.part"]
    _, out, _ = run("query.json")
    assert "1 left out: there already" in out
    assert set(listed(tmp_path / "downloads.csv")) == {
        f"rgb/W02D/{NS + 1}-{RGB}",
        f"thermal/W02D/{NS}-{THERMAL}",
    }


def test_commands__of_several_machines_give_no_password_to_another(tmp_path, run) -> None:
    records = [record(RGB), record(THERMAL, base="https://elsewhere.org")]
    _, out, _ = run(saved(tmp_path / "query.json", records))
    assert "SAGE_PASSWORD" not in out
    assert "elsewhere.org, storage.sagecontinuum.org: only ~/.netrc tells" in out


class Service(BaseHTTPRequestHandler):
    """Answers a query as SAGE's data service does."""

    def do_POST(self):  # noqa: N802
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert asked["filter"] == {"name": "upload", "vsn": "W02D"}
        self.send_response(200)
        self.end_headers()
        lines = [{**record(RGB), "timestamp": "2023-03-08T20:58:38Z"}]
        self.wfile.write("".join(json.dumps(line) + "\n" for line in lines).encode())

    def log_message(self, *args):
        pass


def test_query__is_asked_by_the_client(tmp_path, run) -> None:
    pytest.importorskip("sage_data_client", reason="sage-data-client is not installed")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/api/v1/query"
    words = ("--start", "2023-03-08T00:00:00Z", "--filter", "vsn=W02D", "--endpoint", address)
    try:
        assert "1 files to fetch" in run(*words)[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert list(listed(tmp_path / "downloads.csv")) == [f"rgb/W02D/{NS}-{RGB}"]


def test_query__without_the_client_says_what_to_do(run, monkeypatch) -> None:
    monkeypatch.setattr("hpctrain.index.downloads.CLIENT", "no_such_client")
    code, _, err = run("--start", "-2h")
    assert code == 2
    assert "pip install sage-data-client, or give a saved query" in err
