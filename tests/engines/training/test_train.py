"""Examples as the paper draws them, the cache of decoded clips, and training that can be interrupted."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from engines.errors import I3DLiveError, UsageError, WeightsError
from engines.nets.architectures import Architecture, architecture
from engines.nets.factory import network
from engines.spec import FLOW, RGB, Modality
from engines.training.augment import centre_example, flow_levels, mirror, random_example
from engines.training.clip_cache import cache_clips, cached_files, load_cached
from engines.training.datasets import Clip
from engines.training.train import Examples, Schedule, Training, loss, modalities, start_from, train

# Examples.


def numbered(ticks: int, height: int = 10, width: int = 12) -> dict[Modality, np.ndarray]:
    """Both streams with known values: rgb holds the tick, row and column, flow the column + 100 and the row."""
    t, y, x = np.meshgrid(np.arange(ticks), np.arange(height), np.arange(width), indexing="ij")
    rgb = np.stack((t, y, x), axis=3).astype(np.uint8)
    flow = np.stack((x + 100, y), axis=3).astype(np.uint8)
    return {"rgb": rgb, "flow": flow}


@given(ticks=st.integers(1, 40), wanted=st.integers(1, 30), seed=st.integers(0, 1000))
def test_an_example_is_one_whole_window_and_one_square_of_every_stream(
    ticks: int, wanted: int, seed: int
) -> None:
    example = random_example(numbered(ticks), wanted, 8, np.random.default_rng(seed))
    rgb, flow = example["rgb"].astype(int), example["flow"].astype(int)
    assert rgb.shape == (wanted, 8, 8, 3)
    start = rgb[0, 0, 0, 0]
    assert start + min(wanted, ticks) <= ticks, "starts too late to be whole"
    np.testing.assert_array_equal(
        rgb[:, 0, 0, 0], start + np.arange(wanted) % (ticks - start if wanted > ticks else 256)
    )
    columns = rgb[0, 0, :, 2]
    mirrored = columns[0] > columns[-1]
    np.testing.assert_array_equal(np.diff(columns), -1 if mirrored else 1)
    np.testing.assert_array_equal(rgb[:, :, :, 2], np.broadcast_to(columns, (wanted, 8, 8)))
    # Flow is cut and mirrored with it; its x component changes sign.
    np.testing.assert_array_equal(flow[..., 0], 254 - (rgb[..., 2] + 100) if mirrored else rgb[..., 2] + 100)
    np.testing.assert_array_equal(flow[..., 1], rgb[..., 1])


def test_every_start_square_and_side_is_drawn() -> None:
    rng = np.random.default_rng(0)
    drawn = set()
    for _ in range(600):
        rgb = random_example({"rgb": numbered(7)["rgb"]}, 5, 9, rng)["rgb"]
        drawn.add(
            (rgb[0, 0, 0, 0], rgb[0, 0, 0, 1], min(rgb[0, 0, 0, 2], rgb[0, 0, -1, 2]), rgb[0, 0, 0, 2] > 5)
        )
    # 3 starts, 2 rows, 4 columns, 2 sides.
    assert len(drawn) == 3 * 2 * 4 * 2


def test_mirrored_flow_is_the_flow_of_the_mirrored_motion() -> None:
    px = np.array([-20, -3.3, -0.01, 0, 0.01, 0.4, 19.99, 20], np.float32)
    quantised = np.floor((px + 20) / 40 * 255) / 127.5 - 1
    levels = flow_levels(np.stack((quantised, quantised), axis=-1).reshape(1, 1, 8, 2).astype(np.float16))
    np.testing.assert_array_equal(levels[0, 0, :, 0], np.floor((px + 20) / 40 * 255))
    seen = mirror(levels, "flow")[0, 0, ::-1, 0].astype(int)
    of_negated = np.floor((-px + 20) / 40 * 255).astype(int)
    assert seen[3] == levels[0, 0, 3, 0] == 127  # what stands still stays still
    assert np.abs(seen - of_negated).max() <= 1  # only at the ends of the range
    np.testing.assert_array_equal(seen[1:-1], of_negated[1:-1])
    np.testing.assert_array_equal(mirror(mirror(levels, "flow"), "flow")[..., 1], levels[..., 1])


def test_the_centre_example_is_the_middle_of_the_clip_and_needs_no_last_flow_field() -> None:
    clip = numbered(20)
    clip["flow"] = clip["flow"][:-1]
    example = centre_example(clip, 5, 8)
    assert example["rgb"][0, 0, 0].tolist() == [7, 1, 2]
    assert len(example["flow"]) == 5
    with pytest.raises(ValueError, match="12 x 10 are smaller than the crop of 11"):
        centre_example(clip, 5, 11)


# The cache.


def test_a_clip_is_read_once_and_what_cannot_be_read_is_listed(tmp_path: Path) -> None:
    read: list[str] = []

    def reader(path: Path) -> dict[Modality, np.ndarray]:
        read.append(path.name)
        if path.name == "broken.mp4":
            raise I3DLiveError("broken.mp4 cannot be read")
        flow = np.full((6, 8, 9, 2), np.floor(127.5) / 127.5 - 1, np.float16)
        return {"rgb": numbered(6, 8, 9)["rgb"], "flow": flow}

    clips = [Clip(tmp_path / name, 0) for name in ("one.mp4", "broken.mp4")]
    for clip in clips:
        clip.path.write_bytes(b"video")
    cache = tmp_path / "cache"
    for _ in range(2):
        kept, unread = cache_clips(clips, [RGB, FLOW], cache, reader)
    assert (kept, unread) == ([clips[0]], [(clips[1].path, "broken.mp4 cannot be read")])
    assert read == ["one.mp4", "broken.mp4", "broken.mp4"]
    streams = load_cached(clips[0].path, [RGB, FLOW], cache)
    np.testing.assert_array_equal(streams["rgb"], numbered(6, 8, 9)["rgb"])
    assert isinstance(streams["flow"], np.memmap)
    np.testing.assert_array_equal(streams["flow"], np.full((6, 8, 9, 2), 127))
    assert sorted(p.suffix for p in cache.rglob("*") if p.is_file()) == [".npy", ".npy", ".sha256", ".sha256"]
    # A damaged file is read again.
    rgb = cached_files(clips[0].path, [RGB], cache)["rgb"]
    whole = rgb.read_bytes()
    for damaged in (whole[:-9], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        rgb.write_bytes(damaged)
        read.clear()
        cache_clips(clips[:1], [RGB, FLOW], cache, reader)
        assert read == ["one.mp4"]
        assert rgb.read_bytes() == whole
    # A changed file, or frames of another size, are another clip.
    small = replace(RGB, short_side_px=128)
    assert cached_files(clips[0].path, [small], cache) != cached_files(clips[0].path, [RGB], cache)
    clips[0].path.write_bytes(b"another video")
    with pytest.raises(UsageError, match="is not in the cache"):
        load_cached(clips[0].path, [RGB, FLOW], cache)


# Training.


def small_c3d() -> Architecture:
    contract = architecture("c3d")
    stream = contract.streams[0]
    return replace(
        contract, streams=(replace(stream, spec=replace(stream.spec, short_side_px=36, crop_px=32)),)
    )


def colours(path: Path) -> Mapping[Modality, np.ndarray]:
    """A clip whose class is its colour; the name tells which."""
    number = int(path.stem)
    rng = np.random.default_rng(number)
    clip = rng.integers(0, 60, (20, 36, 40, 3), dtype=np.uint8)
    clip[..., number % 2] += 150
    return {"rgb": clip}


def training(rounds: int, dropout: float = 0.5) -> Training:
    torch.manual_seed(0)
    net = network("c3d", 2, dropout=dropout, divide=8, size_px=32)
    clips = [Clip(Path(f"{n}.mp4"), n % 2) for n in range(12)]
    schedule = Schedule(learning_rate=0.01, rounds=rounds, batch_size=4, round_steps=2, seed=3)
    return Training(net, small_c3d(), clips[:8], clips[8:], colours, schedule)


quiet = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",  # few are right for examples that take no time
    "ignore:.*LeafSpec:FutureWarning",  # Lightning's own use of torch
    "ignore:Checkpoint directory",
)


@quiet
def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    train(training(rounds=4), tmp_path / "whole", accelerator="cpu")
    broken = training(rounds=4)
    read = count(1)

    def breaking(path: Path) -> Mapping[Modality, np.ndarray]:
        if (
            next(read) > 2 * 12 + 5
        ):  # a round reads 8 clips to train and 4 to validate: in the middle of the third
            raise MemoryError
        return colours(path)

    broken.load_clip = breaking
    with pytest.raises(MemoryError):
        train(broken, tmp_path / "parts", accelerator="cpu")
    halfway = torch.load(tmp_path / "parts" / "last.ckpt", weights_only=True)
    train(training(rounds=4), tmp_path / "parts", accelerator="cpu")
    whole, parts = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "parts")
    )
    assert (halfway["global_step"], whole["global_step"], parts["global_step"]) == (4, 8, 8)
    assert whole["lr_schedulers"] == parts["lr_schedulers"]
    for name, tensor in whole["state_dict"].items():
        assert torch.equal(tensor, parts["state_dict"][name]), name
        if name.endswith("conv.weight"):
            assert not torch.equal(tensor, halfway["state_dict"][name])


@quiet
def test_training_learns_writes_its_curves_and_weights_that_load(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    weights = train(training(rounds=12), tmp_path, accelerator="cpu")
    assert {p.name for p in tmp_path.iterdir()} == {"best.ckpt", "last.ckpt", "curves", "weights.safetensors"}
    curves = EventAccumulator(str(tmp_path / "curves"))
    curves.Reload()
    assert {"val_loss", "val_top1", "train_loss", "train_top1", "lr-SGD"} <= set(curves.Tags()["scalars"])
    assert len(curves.Scalars("val_loss")) == 12
    assert curves.Scalars("val_top1")[-1].value == 1.0
    net = network("c3d", 2, divide=8, size_px=32)
    net.load_state_dict(load_file(weights))


@quiet
@pytest.mark.filterwarnings("ignore:TF32 acceleration")  # from `flags`, where there is no Intel GPU
def test_mixed_precision_keeps_the_weights_whole(tmp_path: Path) -> None:
    mixed = training(rounds=1)
    types: set[torch.dtype] = set()
    mixed.net.get_submodule("fc6").register_forward_hook(lambda module, args, out: types.add(out.dtype))
    # oneDNN's gradient of a small bfloat16 kernel in 3D sometimes has NaN from uninitialised memory (torch 2.13).
    with torch.backends.mkldnn.flags(enabled=False):
        weights = load_file(train(mixed, tmp_path, accelerator="cpu", precision="bf16-mixed"))
    assert types == {torch.bfloat16}
    assert weights["fc6.weight"].dtype == torch.float32
    assert torch.isfinite(weights["fc6.weight"]).all()


@quiet
def test_the_learning_rate_falls_to_a_tenth_when_the_validation_loss_does_not(tmp_path: Path) -> None:
    stuck = training(rounds=5)
    stuck.schedule = replace(stuck.schedule, learning_rate=0.0001, patience_rounds=1)
    stuck.validation_step = lambda batch, batch_idx: stuck.log("val_loss", torch.ones(()), batch_size=4)  # type: ignore[method-assign]
    train(stuck, tmp_path, accelerator="cpu")
    # The first round is the best, the second is tolerated, the third cuts; the fourth is tolerated, the fifth cuts.
    (group,) = stuck.optimizers().param_groups  # type: ignore[union-attr]
    assert group["lr"] == pytest.approx(0.0001 * 0.1**2)
    assert group["momentum"] == 0.9


def test_each_round_draws_new_examples_and_the_same_ones_when_repeated() -> None:
    clips = [Clip(Path("0.mp4"), 1)]
    first, again, second = (
        Examples(clips, colours, small_c3d(), None, seed=1, round_number=n)[0][0][0] for n in (0, 0, 1)
    )
    assert first.shape == (16, 32, 32, 3)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_streams_are_trained_together_where_the_paper_does() -> None:
    assert modalities(architecture("two-stream"), None) == ("rgb", "flow")
    assert modalities(architecture("two-stream-i3d"), "flow") == ("flow",)
    with pytest.raises(UsageError, match="a stream at a time; choose one of rgb, flow"):
        modalities(architecture("two-stream-i3d"), None)


def test_the_loss_is_that_of_every_step_or_of_the_mean() -> None:
    scores = torch.tensor([[[4.0, 0.0], [0.0, 4.0]]])
    right = torch.tensor([0])
    each = torch.log1p(torch.exp(torch.tensor([-4.0, 4.0])))
    torch.testing.assert_close(loss(scores, right, every_step=True), each.mean())
    torch.testing.assert_close(loss(scores, right, every_step=False), torch.log(torch.tensor(2.0)))


# Where training starts from.


def test_another_number_of_classes_keeps_all_but_the_classifier() -> None:
    trained, new = (network("c3d", classes, divide=8, size_px=32) for classes in (3, 2))
    fresh = new.state_dict()["fc.weight"].clone()
    start_from(new, {k: v for k, v in trained.state_dict().items() if not k.endswith("num_batches_tracked")})
    assert torch.equal(new.state_dict()["fc6.weight"], trained.state_dict()["fc6.weight"])
    assert torch.equal(new.state_dict()["fc.weight"], fresh)
    with pytest.raises(WeightsError, match="another network"):
        start_from(new, network("convnet-lstm", 2, divide=8).state_dict())
    with pytest.raises(WeightsError, match=r"another network.*size mismatch"):
        start_from(new, network("c3d", 2, divide=4, size_px=32).state_dict())
