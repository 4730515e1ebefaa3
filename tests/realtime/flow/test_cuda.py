"""The GPU kernels: run on the processor by Triton's interpreter, and compiled for every generation without a GPU."""

import os
import subprocess
import sys

import numpy as np
import pytest

from realtime.flow.tvl1 import TvL1
from tests.conftest import ROOT
from tests.support.scenes import occlusion, rotation

pytest.importorskip("triton", reason="Triton comes with torch for CUDA on Linux, or by pip install triton")

INTERPRETED = """
import sys
import numpy as np
from realtime.flow import tvl1_cuda
from realtime.flow.tvl1_plan import scales
tvl1_cuda.BLOCK = 4096
pictures = np.load(sys.argv[1])
plan = scales(*pictures.shape[2:], finest_warps=2, warps=2, iterations=4)
flow = tvl1_cuda.TvL1Cuda(pictures.shape[1], *pictures.shape[2:], device="cpu", plan=plan)
flow(*pictures[:, ::-1])
pictures.flags.writeable = False
np.save(sys.argv[1], flow(*pictures).numpy())
"""


def run(code: str, *arguments: str, interpret: bool) -> str:
    environment = os.environ | {"TRITON_INTERPRET": "1" if interpret else "0"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def pairs(height: int, width: int) -> np.ndarray:
    """uint8 (2, batch, height, width)."""
    scenes = [occlusion(3, 64), rotation(3, 64)]
    return np.array(
        [[scene.previous[:height, :width], scene.following[:height, :width]] for scene in scenes]
    ).swapaxes(0, 1)


@pytest.mark.parametrize(("height", "width"), [(34, 40), (1, 7)])
def test_kernels_give_the_same_numbers_as_the_processor(height: int, width: int, tmp_path: object) -> None:
    from realtime.flow.tvl1_plan import scales

    pictures = pairs(height, width)
    file = f"{tmp_path}/pictures.npy"
    np.save(file, pictures)
    run(INTERPRETED, file, interpret=True)
    flow = TvL1(height, width, scales(height, width, finest_warps=2, warps=2, iterations=4))
    expected = np.stack([flow(*pair) for pair in pictures.swapaxes(0, 1)])
    assert np.abs(expected).max() > 0.1
    assert np.abs(np.load(file) - expected).mean() < 2e-5


COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from realtime.flow import tvl1_cuda as m
constants = {"BLOCK": 512, "A": m.CUBIC, "FLAT": m.FLAT, "OVER": m.RELAXATION}
floats = {"rounding", "tau", "limit", "sigma"}
pointers = {"fine", "coarse", "previous", "following", "state"}
for kernel in (m.halve, m.enlarge, m.linearise, m.primal, m.dual):
    names = kernel.arg_names
    kind = lambda n: "constexpr" if n in constants else "fp32" if n in floats else "*fp32" if n in pointers else "i32"
    for capability in (80, 86, 89, 90, 120):
        source = ASTSource(kernel, {n: kind(n) for n in names}, {n: constants[n] for n in names if n in constants})
        assert triton.compile(source, target=GPUTarget("cuda", capability, 32)).asm["cubin"]
        print(kernel.__name__, capability)
"""


def test_kernels_compile_for_every_generation_without_a_gpu(tmp_path: object) -> None:
    code = f"import os; os.environ['TRITON_CACHE_DIR'] = {str(tmp_path)!r}\n" + COMPILED
    assert len(run(code, interpret=False).splitlines()) == 25


@pytest.mark.gpu
def test_a_gpu_gives_the_same_field_as_the_processor() -> None:
    from realtime.flow.tvl1_cuda import TvL1Cuda

    pictures = pairs(64, 64)
    flow, many = TvL1(64, 64), TvL1Cuda(2, 64, 64)
    expected = np.stack([flow(*pair) for pair in pictures.swapaxes(0, 1)])
    many(*pictures[:, ::-1].copy())
    assert np.abs(many(*pictures).cpu().numpy() - expected).mean() < 0.05
