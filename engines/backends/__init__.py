"""Backends compile and run the graphs of an engine: see `registry`."""

import sys

# OpenVINO and NNCF report every import and every conversion to their maker, unless they find this package missing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
