"""Nothing leaves the machine: while the program runs on a file, no host is looked up and no connection is made."""

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

from tests.conftest import ROOT
from tests.support.made_clips import every, write_clip

WATCHED = """
import os, sys
seen = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def hook(event, arguments):
    # The hook lives on in a process that is forked, which is how a report would be sent.
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto", "subprocess.Popen"):
        os.write(seen, f"{event} {arguments[:2]}\\n".encode())
sys.addaudithook(hook)
import engines.backends.openvino.run, nncf
from engines.load import Engines
from tests.support.command_line import Doubles
from tests.support.doubles import SawTicks
import openvino.tools.ovc
telemetry = type(openvino.tools.ovc.telemetry).__module__
sys.argv = ["i3d-live", "run", sys.argv[2], "--annotate", "out.mp4", "--timeline", "out.png"]
from realtime.cli import main
try:
    main(prepare=Doubles(Engines(SawTicks(), None, "double")))
except SystemExit as stopped:
    print(telemetry, file=sys.stderr)
    os._exit(stopped.code or 0)
"""


def test_a_run_asks_no_host_for_anything(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", every(Fraction(1, 25), 70))
    seen = tmp_path / "seen.txt"
    # As on a user's machine: in CI the libraries would send nothing anyway.
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WATCHED, str(seen), str(clip)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()][-1] == "summary"
    # Matplotlib asks the system once for its fonts, and a torch with CUDA for its libraries.
    local = ("('fc-list',", "('/sbin/ldconfig',")
    assert [line for line in seen.read_text().splitlines() if not any(each in line for each in local)] == []
    assert done.stderr.splitlines()[-1] == "openvino.tools.ovc.telemetry_stub"
    assert not (tmp_path / "home" / "intel").exists()
