"""Elementary functions in float32 that LLVM can vectorise, the same on every processor.

Accuracies are tested in tests/envs/market/test_numerics.py against scipy.
"""

import numpy as np

from .compiled import scalar

F = np.float32
HALF, ONE, ZERO, TWO = F(0.5), F(1), F(0), F(2)
TAIL = F(5)           # where Giles' quantile changes polynomial


@scalar
def exp32(x):
    """e^x, relative error about 2e-7; x is limited to [-87, 88] (range reduction by ln 2, then a polynomial)."""
    x = min(max(x, F(-87)), F(88))
    n = np.floor(x * F(1.44269504) + HALF)
    r = x - n * F(0.693359375) + n * F(2.12194440e-4)
    y = F(1.98756915e-4) * r + F(1.39819995e-3)
    y = y * r + F(8.33345191e-3)
    y = y * r + F(4.16657959e-2)
    y = y * r + F(0.166666655)
    y = y * r + HALF
    bits = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))
    return (y * r * r + r + ONE) * bits.view(np.float32)


@scalar
def log32(x):
    """Natural logarithm of a positive normal float32, error about 2e-7 (mantissa polynomial after Cephes)."""
    whole = F(x)
    e = np.int32((whole.view(np.int32) - np.int32(0x3F3504F3)) >> np.int32(23))
    r = np.int32(whole.view(np.int32) - np.int32(e << np.int32(23))).view(np.float32) - ONE
    z = r * r
    y = F(7.0376836e-2) * r + F(-1.151461e-1)
    y = y * r + F(1.1676998e-1)
    y = y * r + F(-1.2420141e-1)
    y = y * r + F(1.4249323e-1)
    y = y * r + F(-1.6668058e-1)
    y = y * r + F(2.0000715e-1)
    y = y * r + F(-2.4999994e-1)
    y = y * r + F(3.3333331e-1)
    y = y * r * z
    return r + (y + F(e) * F(-2.12194440e-4) - HALF * z) + F(e) * F(0.693359375)


@scalar
def logistic(x):
    """1 / (1 + e^-x)."""
    return ONE / (ONE + exp32(-x))


@scalar
def normal_cdf(x):
    """Standard normal distribution function, relative error about 5e-7 also far in the lower tail.

    Chebyshev fit of the complementary error function (Press et al., Numerical Recipes, erfcc).
    """
    z = min(abs(x), F(12)) * F(0.70710678)
    t = ONE / (ONE + HALF * z)
    y = F(0.17087277) * t + F(-0.82215223)
    y = y * t + F(1.48851587)
    y = y * t + F(-1.13520398)
    y = y * t + F(0.27886807)
    y = y * t + F(-0.18628806)
    y = y * t + F(0.09678418)
    y = y * t + F(0.37409196)
    y = y * t + F(1.00002368)
    y = y * t + F(-1.26551223)
    tail = HALF * t * exp32(y - z * z)
    return tail if x < ZERO else ONE - tail


@scalar
def quantile_curve(u):
    """w = -ln(1 - x^2) with x = 2u - 1, the variable of Giles' polynomials."""
    x = TWO * u - ONE
    return -log32((ONE - x) * (ONE + x))


@scalar
def quantile_centre(u, w):
    """Standard normal quantile where w < 5, that is |z| < 2.7 (Giles 2012, single precision)."""
    a = w - F(2.5)
    p = F(2.81022636e-08) * a + F(3.43273939e-07)
    p = p * a + F(-3.5233877e-06)
    p = p * a + F(-4.39150654e-06)
    p = p * a + F(0.00021858087)
    p = p * a + F(-0.00125372503)
    p = p * a + F(-0.00417768164)
    p = p * a + F(0.246640727)
    p = p * a + F(1.50140941)
    return F(1.41421356) * (TWO * u - ONE) * p


@scalar
def quantile_tail(u, w):
    """Standard normal quantile where w >= 5 (Giles 2012, single precision)."""
    b = np.sqrt(w) - F(3)
    q = F(-0.000200214257) * b + F(0.000100950558)
    q = q * b + F(0.00134934322)
    q = q * b + F(-0.00367342844)
    q = q * b + F(0.00573950773)
    q = q * b + F(-0.0076224613)
    q = q * b + F(0.00943887047)
    q = q * b + F(1.00167406)
    q = q * b + F(2.83297682)
    return F(1.41421356) * (TWO * u - ONE) * q


@scalar
def normal_quantile(u):
    """Standard normal quantile of u in (0, 1)."""
    w = quantile_curve(u)
    return quantile_centre(u, w) if w < TAIL else quantile_tail(u, w)
