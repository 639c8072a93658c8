"""A machine that builds images, with a stand-in for the engine."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

from tests.e2e.commands import Done, environment

ENGINE = r"""#!/bin/sh
# keeps what it was given as the image; a folder `fail` or `hang` beside it decides about layers
here=$(dirname "$0")
case $1 in
  build)
    [ "$2" != --help ] || { echo "--mksquashfs-args"; exit; }
    for word in "$@"; do image=$definition definition=$word; done
    layer=$(basename "$definition" .def)
    echo "$layer $PIP_X $APPTAINERENV_MINE" >>"$here/built"
    echo "words of $layer"
    echo half >"$image"
    [ ! -e "$here/fail-$layer" ] || { echo "no space in $layer" >&2; exit 255; }
    [ ! -e "$here/hang-$layer" ] || sleep 60
    { sed -n 's/^From: //p' "$definition" | grep '^/' | xargs -r cat
      cat "$definition"; } >"$image" ;;
  test)
    [ ! -e "$here/fail-test" ] || { echo "the sum is wrong" >&2; exit 1; }
    echo "all is well" ;;
esac
"""
MAP = "#!/bin/sh\nexit 0\n"
OPTIONS = ("--base", "debian12")


class Machine:
    """An engine, a cache and an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.home = folder / "bin", folder / "home"
        self.cache = folder / "cache" / "hpctrain" / "images"
        for made in (self.bin, self.home):
            made.mkdir()
        for name, text in (("apptainer", ENGINE), ("unshare", MAP), ("fakeroot", MAP)):
            (self.bin / name).write_text(text)
            (self.bin / name).chmod(stat.S_IRWXU)

    def env(self, **more: str) -> dict[str, str]:
        env = environment(XDG_CACHE_HOME=str(self.cache.parents[1]), HPCTRAIN_ANY="1", **more)
        return {**env, "PATH": f"{self.bin}:{env['PATH']}"}

    def words(self, *words: str) -> list[str]:
        # the stand-in needs no rights, so root may build as well
        allow = "import hpctrain.container.engine as e; e.root_problems = lambda: iter(())"
        main = "from hpctrain.cli import main; import sys; main(sys.argv[1:])"
        return [sys.executable, "-c", f"{allow}; {main}", "container", *words]

    def run(self, *words: str) -> Done[str]:
        return subprocess.run(
            self.words(*words), cwd=self.home, env=self.env(), capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    def built(self) -> list[str]:
        """Layers that the engine was asked for."""
        path = self.bin / "built"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []
