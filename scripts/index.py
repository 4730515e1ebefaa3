"""The environment of a new user: what reaches the package index, and nothing else that steers pip or uv.

A machine on which this is developed may have wheels on its disk, an index of its own beside the public one, or caps on
versions; what installs there proves nothing about a machine without them. A mirror of the public index is named with
PIP_INDEX_URL (pip's files of settings are not read).
"""

import os
from collections.abc import Mapping

REACH = frozenset(
    f"{tool}_{name}"
    for tool, names in {
        "PIP": "INDEX_URL CERT CLIENT_CERT PROXY TRUSTED_HOST DEFAULT_TIMEOUT RETRIES",
        "UV": "DEFAULT_INDEX INSECURE_HOST SYSTEM_CERTS HTTP_TIMEOUT CACHE_DIR",
    }.items()
    for name in names.split()
)
"""Settings that say how the index is reached. Proxies and certificates of all programs have other names and stay
too."""


def environment(outer: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables for a process that is to install or resolve from the index alone."""
    kept = {k: v for k, v in outer.items() if k in REACH or not k.startswith(("PIP_", "UV_"))}
    if "PIP_INDEX_URL" in kept:
        kept.setdefault("UV_DEFAULT_INDEX", kept["PIP_INDEX_URL"])
    # Their files of settings, which may name local wheels.
    return kept | {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never"}
