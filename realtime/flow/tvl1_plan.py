"""How this project computes TV-L1, the same on the CPU and on the GPU.

It minimises, over fields u, mean(0.15 |I1(x + u) - I0(x)| + |grad u1| + |grad u2|), after Zach, Pock and Bischof
(2007): coarse to fine, with the second picture warped and linearised a few times per scale. Two things differ from the
common implementation (IPOL 2013):

- Each linearised problem is solved by the over-relaxed primal-dual method of Chambolle and Pock (2011) on u itself.
  The usual split into u and a copy v tied to it by |u - v|^2 / (2 theta) can be solved for v in closed form: what
  remains is the data term with its tip rounded over a width `THETA`, which costs one factor and converges in a
  fraction of the iterations.
- The dual variables, too, are carried over from warp to warp and from scale to scale.
"""

from dataclasses import dataclass

LAMBDA = 0.15
"""Weight of a difference of one grey level relative to one px of total variation."""
THETA, FINEST_THETA = 0.14, 0.05
"""Width over which the tip of the data term is rounded, at the coarser scales and at the finest. OpenCV's 0.3 ends at a
higher energy; a small width at all scales errs more on known motion, at the finest alone it does not."""
TAU, FINEST_TAU = 0.0625, 0.1
"""Primal steps: the first times 2 for each scale after the finest; the second for the first warp of the finest, halved
for each later one."""
RELAXATION = 1.6
"""Factor by which each step exceeds the plain method's; must stay below 2."""
FINEST_WARPS, WARPS, ITERATIONS = 2, 3, 12
"""Linearisations at the finest and at each other scale, and iterations for each at the finest: 5/6 of that at the next
scale, 5/4 at the others, which cost little. How they were chosen: docs/log.md, 2026-11-30."""
SMALLEST_PX = 16
"""A picture is not halved if its shorter side would fall below this."""
CUBIC = -0.6
"""Parameter of the bicubic kernel: between OpenCV's -0.75 (sharper) and Keys' -0.5 (exact for parabolas)."""
FLAT = 1e-3
"""Lower bound for squared gradients."""
EDGE = 2
"""Pixels around a picture that repeat its border, on the CPU."""


@dataclass(frozen=True)
class Warp:
    """One linearisation."""

    tau: float
    """Primal step."""
    theta: float
    """Width over which the tip of the data term is rounded."""

    @property
    def sigma(self) -> float:
        """Dual step, the largest that converges."""
        return 1 / (8 * self.tau)

    @property
    def rounding(self) -> float:
        """Share of the step to the minimum of the data term that is taken, since its tip is rounded."""
        return self.tau / (self.tau + self.theta)


@dataclass(frozen=True)
class Scale:
    """One scale of the pyramid, and the work at that scale."""

    height: int
    width: int
    warps: tuple[Warp, ...]
    iterations: int
    """For each warp."""


def scales(
    height: int,
    width: int,
    *,
    finest_warps: int = FINEST_WARPS,
    warps: int = WARPS,
    iterations: int = ITERATIONS,
) -> list[Scale]:
    """The pyramid of a picture, finest first; each scale has half the size of the one before, rounded up."""
    finest = tuple(Warp(FINEST_TAU / 2**warp, FINEST_THETA) for warp in range(finest_warps))
    plan = [Scale(height, width, finest, iterations)]
    while min(plan[-1].height, plan[-1].width) >= 2 * SMALLEST_PX:
        last, tau = plan[-1], TAU * 2 ** len(plan)
        each, count = (Warp(tau, THETA),) * warps, iterations * 5 // (6 if len(plan) == 1 else 4)
        plan.append(Scale((last.height + 1) // 2, (last.width + 1) // 2, each, count))
    return plan
