"""A separate cache folder and a network of three tensors, for tests of how weights are stored."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engines.errors import NotFetched
from engines.weights import formats
from engines.weights import public_sets as public
from tests.conftest import in_ci
from tests.support.made_weights import MadeSet, tiny_shapes
from tests.support.webserver import file_server


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for this test, which does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "i3d-live"


@pytest.fixture
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of three tensors in place of I3D's 287; other tests check the layouts against the real one."""
    monkeypatch.setitem(formats.SHAPES, "i3d", tiny_shapes)


@pytest.fixture
def made_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MadeSet]:
    """A public set named `made` on its own server."""
    with file_server() as server:
        site = MadeSet(server, tmp_path)
        monkeypatch.setitem(public.PUBLIC, "made", site.table)
        yield site


@pytest.fixture(scope="session")
def kinetics() -> dict[str, np.ndarray]:
    """The RGB weights trained on Kinetics-400, fetched if they are not in the user's cache yet."""
    from engines.weights.fetch import fetch, load_weights

    try:
        fetch("kinetics")
    except NotFetched as error:
        if in_ci():
            raise
        pytest.skip(str(error))
    return dict(load_weights("kinetics", "rgb")[1])
