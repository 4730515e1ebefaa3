"""The last layer of a network: replace it, remove it; and weights for a flow network."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.head import BIAS, KERNEL, Head
from engines.spec import FLOW, Tensors, Weights

FIRST = "Conv3d_1a_7x7.conv3d.weight"


def with_head(tensors: Tensors, head: Head) -> dict[str, NDArray[Any]]:
    """The same network with another last layer."""
    return {**tensors, KERNEL: head.kernel[:, :, None, None, None], BIAS: head.bias}


def feature_tensors(tensors: Tensors) -> dict[str, NDArray[Any]]:
    """The same network with the identity as its last layer: its logits are the features."""
    count = tensors[KERNEL].shape[1]
    return with_head(tensors, Head(np.eye(count, dtype=np.float32), np.zeros(count, np.float32)))


def feature_weights(weights: Weights, tensors: Tensors) -> Weights:
    """Description of `feature_tensors`: its hash covers all but the last layer, so it does not depend on the head."""
    digest = hashlib.sha256()
    for name in sorted(tensors.keys() - {KERNEL, BIAS}):
        digest.update(name.encode())
        digest.update(tensors[name].tobytes())
    labels = tuple(f"feature {n}" for n in range(tensors[KERNEL].shape[1]))
    sha256 = digest.hexdigest()
    return replace(weights, name=f"features-{sha256[:12]}", labels=labels, sha256=sha256)


def as_flow(weights: Weights, tensors: Tensors) -> tuple[Weights, dict[str, NDArray[Any]]]:
    """Initial weights of a flow network, from RGB weights: the first kernel averaged over the colours.

    The common start of a flow network (Wang et al., *Temporal Segment Networks*, 2016, section 3.2).
    """
    first = np.repeat(tensors[FIRST].mean(axis=1, keepdims=True), FLOW.channels, axis=1)
    source = f"{weights.source}, first kernel averaged over colours"
    return replace(weights, modality="flow", source=source), {**tensors, FIRST: first}
