"""What transformers are made of, in float64. Rows are positions."""
import math

import numpy as np


def rms_norm(x, weight, epsilon):
    """Zhang and Sennrich 2019. Over the last axis: rows, or the heads of rows."""
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def layer_norm(x, weight, bias, epsilon):
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + epsilon) * weight + bias


def silu(x):
    return x / (1 + np.exp(-x))


def gelu_tanh(x):
    """The approximation that gemma was trained with."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


_erf = np.vectorize(math.erf, otypes=[float])


def gelu(x):
    """Hendrycks and Gimpel 2016, exact, as bert was trained with."""
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def softcap(x, cap):
    return cap * np.tanh(x / cap) if cap else x


def softmax(x):
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


# Rotary positions (Su et al. 2021): pair i of a head turns by position * frequency i.

def frequencies(rotary, base):
    return base ** (-np.arange(0, rotary, 2) / rotary)


def yarn_frequencies(rotary, base, factor, original_context, fast=32.0, slow=1.0):
    """Peng et al. 2023: a pair that turns often within the original context keeps its frequency, one
    that hardly turns is slowed by `factor`, with a ramp between `fast` and `slow` turns."""
    def pair_that_turns(times):
        return rotary * math.log(original_context / (times * 2 * math.pi)) / (2 * math.log(base))

    low = max(math.floor(pair_that_turns(fast)), 0)
    high = min(math.ceil(pair_that_turns(slow)), rotary - 1)
    slowed = np.clip((np.arange(rotary // 2) - low) / max(high - low, 0.001), 0, 1)
    plain = frequencies(rotary, base)
    return plain * (1 - slowed) + plain / factor * slowed


def yarn_magnitude(factor):
    return 1 + 0.1 * math.log(factor) if factor > 1 else 1.0


def _rotated(a, b, turns, magnitude):
    """turns: positions × pairs; a and b: positions × heads × pairs."""
    cosine = magnitude * np.cos(turns)[:, None]
    sine = magnitude * np.sin(turns)[:, None]
    return a * cosine - b * sine, a * sine + b * cosine


def rotate_neighbours(x, pair_frequencies, magnitude=1.0):
    """x: positions × heads × values; 2i and 2i + 1 are a pair. llama's converter reorders the rows
    of the query and key matrices for this."""
    turns = np.arange(len(x))[:, None] * pair_frequencies
    out = x.copy()
    size = 2 * len(pair_frequencies)
    out[..., 0:size:2], out[..., 1:size:2] = _rotated(x[..., 0:size:2], x[..., 1:size:2], turns,
                                                      magnitude)
    return out


def rotate_halves(x, pair_frequencies, magnitude=1.0):
    """As above; i and i + half of the rotary values are a pair."""
    turns = np.arange(len(x))[:, None] * pair_frequencies
    out = x.copy()
    half = len(pair_frequencies)
    out[..., :half], out[..., half:2 * half] = _rotated(x[..., :half], x[..., half:2 * half], turns,
                                                        magnitude)
    return out


def attention(q, k, v, scale, causal=True, window=0, cap=0.0):
    """Vaswani et al. 2017, with heads of queries that share keys and values (Ainslie et al. 2023).
    q: positions × heads × values; k, v: positions × kv heads × values. With a window, a position
    sees itself and window - 1 before. Returns positions × (heads * values)."""
    share = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, share, axis=1), np.repeat(v, share, axis=1)
    q, k, v = (x.transpose(1, 0, 2) for x in (q, k, v))  # by head
    scores = softcap(q @ k.transpose(0, 2, 1) * scale, cap)
    behind = np.arange(len(scores[0]))[:, None] - np.arange(len(scores[0]))
    if causal:
        scores = np.where(behind >= 0, scores, -np.inf)
    if window:
        scores = np.where(behind < window, scores, -np.inf)
    out = softmax(scores) @ v
    return out.transpose(1, 0, 2).reshape(len(behind), -1)
