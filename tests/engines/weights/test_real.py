"""The real public weights, fetched if they are not in the user's cache yet."""

import numpy as np
import pytest
import torch

from engines.errors import NotFetched
from engines.nets.i3d import I3D
from engines.weights.fetch import fetch, load_weights
from tests.conftest import in_ci


@pytest.mark.weights
def test_real_weights_give_the_logits_of_the_reference(golden: dict[str, np.ndarray]) -> None:
    """Within 1e-3: two float32 implementations that sum in different orders."""
    try:
        fetch("kinetics")
    except NotFetched as error:
        if in_ci():
            raise
        pytest.skip(str(error))
    facts, tensors = load_weights("kinetics", "rgb")
    assert (facts.name, len(facts.labels)) == ("kinetics", 400)
    net = I3D().eval()
    net.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()}, strict=True)
    video = np.random.default_rng(0).random((1, 3, 64, 224, 224), dtype=np.float32) * 2 - 1
    with torch.inference_mode():
        logits = net(torch.from_numpy(video))[0].mean(0)
    assert np.abs(logits.numpy() - golden["logits_64"].reshape(-1)).max() < 1e-3
