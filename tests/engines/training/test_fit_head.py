"""Heads from few examples: right where there is something to learn, honest where there is not."""

import numpy as np
import pytest

from engines.training.fit_head import Setting, cross_entropy, fit, learn, likely_range

FEATURES = 24


def made_clips(
    classes: int, each: int, apart: float, *, mirror_swaps: bool = False, seed: int = 0
) -> tuple[list[np.ndarray], np.ndarray]:
    """Clips (2, 5, features): the class's direction times `apart`, plus noise for the clip and for each position."""
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(classes, FEATURES))
    targets = np.repeat(np.arange(classes), each)
    clips = []
    for label in targets:
        ways = [label, (label + 1) % classes if mirror_swaps else label]
        centre = rng.normal(size=FEATURES)
        clips.append(
            (apart * directions[ways][:, None] + centre + 0.3 * rng.normal(size=(2, 5, FEATURES))).astype(
                np.float32
            )
        )
    return clips, targets


def right(logits: np.ndarray, targets: np.ndarray) -> int:
    return int((logits.argmax(axis=1) == targets).sum())


@pytest.mark.parametrize("classes", [2, 4])
def test_classes_that_differ_are_learnt(classes: int) -> None:
    clips, targets = made_clips(classes, 10, apart=3)
    judged = learn(clips, targets)
    assert right(judged.logits, targets) == len(targets)
    unseen, unseen_targets = made_clips(classes, 10, apart=3)  # the same directions
    means = np.stack([judged.head(clip[0]).mean(axis=0) for clip in unseen])
    assert right(means, unseen_targets) == len(unseen_targets)


def test_clips_without_a_difference_are_not_judged_better_than_guessing() -> None:
    clips, targets = made_clips(2, 20, apart=0)
    judged = learn(clips, targets)
    known = np.stack([judged.head(clip[0]).mean(axis=0) for clip in clips])
    assert right(known, targets) > 30, "learnt by heart"
    assert right(judged.logits, targets) < 28, "which cross-validation must see through"


def test_mirrors_are_left_out_where_they_show_another_class() -> None:
    assert not learn(*made_clips(2, 8, apart=2, mirror_swaps=True)).setting.mirrored
    assert learn(*made_clips(2, 8, apart=1)).setting.mirrored


def test_two_clips_per_class_are_enough_to_hold_one_out() -> None:
    clips, targets = made_clips(3, 2, apart=4)
    assert right(learn(clips, targets).logits, targets) == 6
    with pytest.raises(ValueError, match="two clips of every class"):
        learn(clips[1:], targets[1:])


def test_a_long_clip_counts_as_much_as_a_short_one() -> None:
    clips, targets = made_clips(2, 6, apart=1)
    longer = [np.tile(clip, (1, 7, 1)) if i == 3 else clip for i, clip in enumerate(clips)]
    one, other = (fit(some, targets, Setting()) for some in (clips, longer))
    x = clips[0][0]
    # Standardisation sees the rows as they come; the weights of the clips are the same.
    assert np.abs(one(x) - other(x)).max() < 0.3 * np.abs(one(x)).max()


def test_logits_of_two_classes_give_the_probabilities_that_were_fitted() -> None:
    clips, targets = made_clips(2, 30, apart=0.3, seed=3)
    head = fit(clips, targets, Setting(c=10.0))
    logits = np.stack([head(clip[0]).mean(axis=0) for clip in clips])
    halved = cross_entropy(logits / 4, targets)
    assert cross_entropy(logits, targets) < halved, "the scale is part of what is learnt"
    np.testing.assert_allclose(logits.sum(axis=1), 0, atol=1e-3)


def test_the_likely_range_is_wilsons() -> None:
    low, high = likely_range(19, 20)
    assert (round(low, 3), round(high, 3)) == (0.764, 0.991)
    assert likely_range(4, 4)[1] == 1.0
    assert round(likely_range(4, 4)[0], 2) == 0.51
    assert likely_range(0, 4)[0] == 0.0
