"""Several runs on one folder: each file is claimed by one of them, and those of a dead run are taken over."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from realtime.features import claims as claims_module
from realtime.features.claims import Claim, Claims

FOREIGN = "another-machine one 1\n"


def claims_at(seconds: list[float]) -> Claims:
    """With a clock that a test sets; nothing is touched by itself."""
    return Claims(lambda: seconds[0], beat_s=1000, dead_after_s=60)


def foreign(stem: Path, number: int = 1) -> Claim:
    """A claim of a run on another machine."""
    claim = Claim(stem, number)
    claim.path.write_text(FOREIGN)
    return claim


def test_only_one_of_many_threads_gets_a_claim(tmp_path: Path) -> None:
    gate, got = threading.Barrier(8), []
    runs = [Claims() for _ in range(8)]

    def take(claims: Claims) -> None:
        gate.wait()
        got.append(claims.take(tmp_path / "a"))

    threads = [threading.Thread(target=take, args=(claims,)) for claims in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [claim for claim in got if claim is not None] == [Claim(tmp_path / "a", 1)]


def test_a_claim_that_is_released_is_gone(tmp_path: Path) -> None:
    claims = claims_at([0.0])
    claim = claims.take(tmp_path / "deep/er/a")
    assert claim is not None
    assert claims.take(tmp_path / "deep/er/a") is None
    claims.release(claim)
    assert os.listdir(tmp_path / "deep/er") == []
    assert claims.take(tmp_path / "deep/er/a") == claim


def test_a_claim_that_nobody_touches_is_taken_over_after_a_minute(tmp_path: Path) -> None:
    """By our clock from when we saw it first: what the clock of the other machine says does not matter."""
    now = [0.0]
    one, two = claims_at(now), claims_at(now)
    stale = foreign(tmp_path / "a")
    os.utime(stale.path, (0, 0))  # its clock is fifty years behind
    assert one.take(tmp_path / "a") is None
    now[0] = 59.0
    assert one.take(tmp_path / "a") is None
    os.utime(stale.path, (10, 10))  # it lives
    now[0] = 61.0
    assert one.take(tmp_path / "a") is None
    now[0] = 121.0
    taken = one.take(tmp_path / "a")
    assert taken == Claim(tmp_path / "a", 2)
    assert two.take(tmp_path / "a") is None
    one.release(taken)
    assert os.listdir(tmp_path) == []


def test_an_owner_that_was_only_asleep_leaves_the_new_claim_alone(tmp_path: Path) -> None:
    sleeper = claims_at([0.0])
    claim = sleeper.take(tmp_path / "a")
    assert claim is not None
    newer = foreign(tmp_path / "a", 2)
    sleeper.release(claim)
    assert newer.path.exists()
    assert claims_at([0.0]).take(tmp_path / "a") is None


def test_of_a_run_on_this_machine_that_was_killed_it_is_taken_over_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, os; from pathlib import Path; from realtime.features.claims import Claims;"
        "claims = Claims(); claims.take(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "a"], check=False)
    assert os.listdir(tmp_path) == [".a.claim-1"]
    assert claims_at([0.0]).take(tmp_path / "a") == Claim(tmp_path / "a", 2)


def test_of_a_run_in_another_container_it_is_not_known_whether_it_lives(
    tmp_path: Path,
) -> None:
    """Containers number their processes each for themselves, and may share the name of their machine."""
    claim = Claim(tmp_path / "a", 1)
    claim.path.write_text(f"{claims_module.this_machine()} 999999999\n".replace("pid:[", "pid:[1"))
    assert claims_at([0.0]).take(tmp_path / "a") is None


def test_claims_are_kept_alive_and_given_back_at_the_end(tmp_path: Path) -> None:
    with Claims(beat_s=0.02) as claims:
        claim = claims.take(tmp_path / "a")
        assert claim is not None
        os.utime(claim.path, (0, 0))
        until_s = time.monotonic() + 20
        while claim.path.stat().st_mtime == 0 and time.monotonic() < until_s:
            time.sleep(0.01)
        assert claim.path.stat().st_mtime > 0
    assert os.listdir(tmp_path) == []
