"""The fixtures of the stream's tests serve here too."""

from tests.realtime.conftest import engines, i3d_live  # noqa: F401
