"""Counter-based random numbers: every draw is a pure function of (seed, episode, tick, slot).

splitmix64 (Steele, Lea & Flood 2014) keyed per episode and tick; each purpose has its own slots, so
a draw
does not depend on what else was drawn, on the batch, or on the policy: common random numbers come
    for free.
"""

import numpy as np

from .compiled import kernel, scalar

F = np.float32
U = np.uint64
GOLDEN = U(0x9E3779B97F4A7C15)
MIX_1 = U(0xBF58476D1CE4E5B9)
MIX_2 = U(0x94D049BB133111EB)
S9 = U(9)
S27 = U(27)
S30 = U(30)
S31 = U(31)
S41 = U(41)
LOW23 = U(0x7FFFFF)
HALF = F(0.5)
UNIT = F(1 / 8388608)  # 23 bits: with 24, float32 would round (2^24 - 1/2) / 2^24 up to 1

# Splits of the merchant population: disjoint streams by construction.
TRAIN = U(0x7261696E)
VALIDATION = U(0x76616C69)
TEST = U(0x74657374)
MERCHANT_TICK = U(0xFFFFFFFF)  # the "tick" whose slots draw the merchant

# First 64-bit word of each purpose within a tick; a word gives two uniforms.
SLOT_NOISE = 0
SLOT_DELAY = 24
SLOT_REFUND = 48
SLOT_CREATIVE = 72
SLOT_COUNTS = 96
SLOT_JUMPS = 192
SLOT_PLAN = 216


@scalar
def mix(z):
    """splitmix64's finaliser."""
    z = (z ^ (z >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    return z ^ (z >> S31)


@kernel
def episode_key(seed, episode, split):
    """Key of an episode: seed and split name the stream, the episode counts within it."""
    return mix(mix(mix(seed + GOLDEN) + split * MIX_1) + U(episode) * MIX_2)


@kernel
def tick_key(key, tick):
    """Key of one tick of an episode."""
    return mix(key + (U(tick) + U(1)) * MIX_2)


@kernel
def fill_uniform(key, slot, out, n):
    """Write n (even) uniforms in (0, 1): two 23-bit draws from each word of the stream, from `slot`
    on.
    """
    half = n // 2
    for j in range(half):
        word = mix(key + U(slot + j) * GOLDEN)
        out[j] = (F(np.int32(word >> S41)) + HALF) * UNIT
        out[half + j] = (F(np.int32((word >> S9) & LOW23)) + HALF) * UNIT


@kernel
def fill_row(key, slot, lane, row):
    """The same into a whole row of lanes, without taking the row out of its array."""
    half = lane.rows.shape[1] // 2
    for j in range(half):
        word = mix(key + U(slot + j) * GOLDEN)
        lane.rows[row, j] = (F(np.int32(word >> S41)) + HALF) * UNIT
        lane.rows[row, half + j] = (F(np.int32((word >> S9) & LOW23)) + HALF) * UNIT
