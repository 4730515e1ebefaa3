"""The fixtures of tests/realtime are used here too."""

from tests.realtime.conftest import engines, i3d_live  # noqa: F401
