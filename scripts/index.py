"""The environment of a new user: the settings that reach the package index, and no others for pip or uv.

A development machine may have wheels on its disk, a private index besides the public one, or limits on versions; what
installs there proves nothing about other machines. A mirror of the public index is named with PIP_INDEX_URL (pip's
configuration files are not read).
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
"""Settings for how to reach the index. General settings for proxies and certificates have other names and are kept
too."""


def environment(outer: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables for a process that installs or resolves from the index alone."""
    kept = {k: v for k, v in outer.items() if k in REACH or not k.startswith(("PIP_", "UV_"))}
    if "PIP_INDEX_URL" in kept:
        kept.setdefault("UV_DEFAULT_INDEX", kept["PIP_INDEX_URL"])
    # Ignore their configuration files, which may name local wheels.
    return kept | {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never"}
