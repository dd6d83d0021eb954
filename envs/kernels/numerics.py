"""Elementary functions in float32 that LLVM can vectorise, the same on every processor.

Polynomials are grouped in pairs (Estrin) instead of nested (Horner): the chain of dependent
operations, which short loops wait for, is half as long.

Accuracies are tested in tests/envs/kernels/test_numerics.py against scipy.
"""

import numpy as np

from .compiled import scalar

F = np.float32
HALF = F(0.5)
ONE = F(1)
ZERO = F(0)
TWO = F(2)
EXPONENT = np.int32(0x7F800000)


@scalar
def exp32(x):
    """e^x, relative error about 2e-7; x is limited to [-87, 88] (range reduction by ln 2, then a
    polynomial).
    """
    x = min(max(x, F(-87)), F(88))
    n = np.floor(x * F(1.44269504) + HALF)
    r = x - n * F(0.693359375) + n * F(2.12194440e-4)
    r2 = r * r
    y = (
        (F(1.98756915e-4) * r + F(1.39819995e-3)) * r2 + (F(8.33345191e-3) * r + F(4.16657959e-2))
    ) * r2
    y += F(0.166666655) * r + HALF
    bits = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))
    return (y * r2 + r + ONE) * bits.view(np.float32)


@scalar
def log32(x):
    """Natural logarithm of a positive normal float32, error about 2e-7 (mantissa polynomial after
    Cephes).
    """
    whole = F(x)
    e = np.int32((whole.view(np.int32) - np.int32(0x3F3504F3)) >> np.int32(23))
    r = np.int32(whole.view(np.int32) - np.int32(e << np.int32(23))).view(np.float32) - ONE
    z = r * r
    high = F(7.0376836e-2) * z + (F(-1.151461e-1) * r + F(1.1676998e-1))
    middle = (F(-1.2420141e-1) * r + F(1.4249323e-1)) * z + (F(-1.6668058e-1) * r + F(2.0000715e-1))
    y = high * (z * z) + middle
    y = y * z + (F(-2.4999994e-1) * r + F(3.3333331e-1))
    y = y * r * z
    return r + (y + F(e) * F(-2.12194440e-4) - HALF * z) + F(e) * F(0.693359375)


@scalar
def logistic(x):
    """1 / (1 + e^-x)."""
    return ONE / (ONE + exp32(-x))


@scalar
def sine_of_turns(x):
    """sin(2 pi x), error about 2e-7 (Taylor's polynomial on a quarter turn either side of 0)."""
    r = x - np.floor(x + HALF)
    r = min(max(r, -HALF - r), HALF - r)  # the same sine within a quarter turn of 0
    a = F(6.2831853) * r
    a2 = a * a
    high = (F(-2.5052108e-8) * a2 + F(2.7557319e-6)) * a2 + F(-1.9841270e-4)
    return a + a * a2 * ((high * a2 + F(8.3333333e-3)) * a2 + F(-0.16666667))


@scalar
def cosine_of_turns(x):
    """cos(2 pi x), error about 2e-7."""
    return sine_of_turns(x - np.floor(x + HALF) + F(0.25))


@scalar
def normal_cdf(x):
    """Standard normal distribution function, relative error about 5e-7 + 1.5e-7 x^2 in the lower
    tail.

    Chebyshev fit of the complementary error function (Press et al., Numerical Recipes, erfcc).
    """
    z = min(abs(x), F(12)) * F(0.70710678)
    t = ONE / (ONE + HALF * z)
    t2 = t * t
    high = (F(0.17087277) * t + F(-0.82215223)) * t2 + (F(1.48851587) * t + F(-1.13520398))
    middle = (F(0.27886807) * t + F(-0.18628806)) * t2 + (F(0.09678418) * t + F(0.37409196))
    y = (high * (t2 * t2) + middle) * t2 + (F(1.00002368) * t + F(-1.26551223))
    tail = HALF * t * exp32(y - z * z)
    return tail if x < ZERO else ONE - tail


@scalar
def quantile_curve(u):
    """t = sqrt(4 - ln(1 - x^2)) - 3.19 with x = 2u - 1: the variable in which the quantile over x
    is a polynomial.
    """
    x = TWO * u - ONE
    return np.sqrt(F(4) - log32((ONE - x) * (ONE + x))) - F(3.1936977)


@scalar
def quantile_shape(u, t):
    """Standard normal quantile of u from its curve t: x P(t), minimax over 2^-24 <= u <= 1 - 2^-24.

    After Giles 2012, with sqrt(c + w) in place of w, so that one polynomial serves the centre and
    both tails.
    """
    t2 = t * t
    high = (F(0.0021318039) * t2 + (F(-0.00173026658) * t + F(-0.0107764012))) * t2
    high += F(0.0156110709) * t + F(0.0113658676)
    low = (F(-0.0485471449) * t + F(0.0591053272)) * t2 + (F(-0.0190208647) * t + F(-0.0957980165))
    return (TWO * u - ONE) * ((high * (t2 * t2) + low) * t2 + (F(1.78044639) * t + F(3.28952965)))


@scalar
def normal_quantile(u):
    """Standard normal quantile of u in (0, 1), relative error about 2e-6 on the grid of
    `fill_uniform`.
    """
    return quantile_shape(u, quantile_curve(u))


@scalar
def is_finite(x):
    """Whether a float32 is neither infinite nor NaN, from its bits: compiled arithmetic assumes
    that there are none.
    """
    return (F(x).view(np.int32) & EXPONENT) != EXPONENT
