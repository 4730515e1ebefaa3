"""Names of the tensors of I3D in each layout, and the prefixes that wrappers add."""

import re
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from engines.errors import WeightsError

FLAX_BRANCHES = {
    "Branch_0/Conv3d_0a_1x1": "b0",
    "Branch_1/Conv3d_0a_1x1": "b1a",
    "Branch_1/Conv3d_0b_3x3": "b1b",
    "Branch_2/Conv3d_0a_1x1": "b2a",
    "Branch_2/Conv3d_0b_3x3": "b2b",
    "Branch_3/Conv3d_0b_1x1": "b3b",
}
FLAX_PARTS = {
    "Conv_0/kernel": "conv3d.weight",
    "Conv_0/bias": "conv3d.bias",
    "BatchNorm_0/scale": "bn.weight",
    "BatchNorm_0/bias": "bn.bias",
    "BatchNorm_0/mean": "bn.running_mean",
    "BatchNorm_0/var": "bn.running_var",
}
LOWER_BRANCHES = {
    "branch_0": "b0",
    "branch_1.0": "b1a",
    "branch_1.1": "b1b",
    "branch_2.0": "b2a",
    "branch_2.1": "b2b",
    "branch_3.1": "b3b",
}


def flax_name(name: str) -> str:
    """ "params/Mixed_3b/Branch_0/Conv3d_0a_1x1/Conv_0/kernel" -> "Mixed_3b.b0.conv3d.weight"."""
    place, _, part = name.removeprefix("params/").removeprefix("batch_stats/").rpartition("/")
    place, _, layer = place.rpartition("/")
    part = FLAX_PARTS.get(f"{layer}/{part}", "")
    place = "logits" if place == "Logits/Conv3d_0c_1x1" else place
    block, _, branch = place.partition("/")
    unit = f"{block}.{FLAX_BRANCHES.get(branch, '')}" if branch else block
    return f"{unit}.{part}" if part and not unit.endswith(".") else name


def _lower_name(name: str) -> str:
    """ "mixed_3b.branch_1.0.batch3d.bias" -> "Mixed_3b.b1a.bn.bias"."""
    name = name.replace("conv3d_0c_1x1.", "logits.").replace(".batch3d.", ".bn.")
    name = re.sub(r"\b(branch_[0-3](?:\.\d(?=\.))?)", lambda m: LOWER_BRANCHES.get(m[1], m[1]), name)
    return name[0].upper() + name[1:] if name.startswith(("conv3d_", "mixed_")) else name


def layout_of(names: list[str]) -> Callable[[str], str]:
    """Function from the names of this layout to pytorch-i3d's. It leaves unknown names as they are."""
    if any(name.startswith("params/") for name in names):
        return flax_name
    if any(name.startswith("conv3d_1a_7x7.") for name in names):
        return _lower_name
    return str


FIRST_LAYER = (
    "Conv3d_1a_7x7.conv3d.weight",
    "conv3d_1a_7x7.conv3d.weight",
    "params/Conv3d_1a_7x7/Conv_0/kernel",
)
"""By layout."""


def common_prefix(names: list[str], origin: str) -> str:
    """The prefix of all names that a wrapper (torch.compile, DataParallel, Lightning) has added."""
    found = sorted(
        {name.removesuffix(first) for name in names for first in FIRST_LAYER if name.endswith(first)}
    )
    found = [prefix for prefix in found if not prefix or prefix[-1] in "./"]
    if len(found) > 1:
        raise WeightsError(
            f"{origin} holds several networks: {', '.join(map(repr, found))}; give a file with one network"
        )
    prefix = found[0] if found else ""
    beside = [repr(name) for name in names if not name.startswith(prefix)]
    if beside:
        part = prefix.rstrip("./")
        raise WeightsError(
            f"{origin}: the network's names begin with {prefix!r}, but it holds {and_more(beside)} too; "
            f"save that part alone: torch.save(model.{part}.state_dict(), 'weights.pt')"
        )
    return prefix


def turned(array: NDArray[Any], name: str, *, flax: bool) -> NDArray[Any]:
    """To torch's axes: flax kernels are (kT, kH, kW, in, out), running statistics (1, 1, 1, 1, C)."""
    if flax and name.endswith("conv3d.weight") and array.ndim == 5:
        return array.transpose(4, 3, 0, 1, 2)
    if flax and ".running_" in name and array.shape[:-1] == (1, 1, 1, 1):
        return array.reshape(-1)
    return array


def and_more(problems: list[str]) -> str:
    return problems[0] + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
