"""Decoders of GGUF's tensor types: stored bytes in, float64 out, each weight exactly as the type
defines it. Source of the layouts: ggml's ggml-common.h."""
import numpy as np

from gguf_format import TENSOR_TYPES


def _half(raw):
    """Two bytes of each block as float64, in a column."""
    return np.ascontiguousarray(raw).view("<f2").astype(np.float64)


def _nibbles(raw):
    """16 bytes to 32 numbers: the low halves, then the high ones."""
    return np.hstack([raw & 15, raw >> 4])


def _fifth_bits(raw):
    """4 bytes to 32 numbers, 0 or 16."""
    return np.unpackbits(np.ascontiguousarray(raw), axis=1, bitorder="little") * 16


def _f32(raw):
    return raw.view("<f4")


def _f16(raw):
    return raw.view("<f2")


def _bf16(raw):
    return (raw.view("<u2").astype(np.uint32) << 16).view("<f4")


def _q8_0(raw):
    return _half(raw[:, :2]) * raw[:, 2:].view(np.int8)


def _q4_0(raw):
    return _half(raw[:, :2]) * (_nibbles(raw[:, 2:]) - 8.0)


def _q4_1(raw):
    return _half(raw[:, :2]) * _nibbles(raw[:, 4:]) + _half(raw[:, 2:4])


def _q5_0(raw):
    return _half(raw[:, :2]) * (_nibbles(raw[:, 6:]) + _fifth_bits(raw[:, 2:6]) - 16.0)


def _q5_1(raw):
    codes = _nibbles(raw[:, 8:]) + _fifth_bits(raw[:, 4:8])
    return _half(raw[:, :2]) * codes + _half(raw[:, 2:4])


def _six_bits(raw):
    """12 bytes to 8 scales and 8 minima."""
    low, middle, high = raw[:, 0:4], raw[:, 4:8], raw[:, 8:12]
    scales = np.hstack([low & 63, (high & 15) | ((low >> 6) << 4)])
    minima = np.hstack([middle & 63, (high >> 4) | ((middle >> 6) << 4)])
    return scales.astype(np.float64), minima.astype(np.float64)


def _k_weights(raw, codes):
    """Of a super-block: codes of 8 × 32, scales and minima in front."""
    scales, minima = _six_bits(raw[:, 4:16])
    scales, minima = _half(raw[:, 0:2]) * scales, _half(raw[:, 2:4]) * minima
    return (scales[:, :, None] * codes - minima[:, :, None]).reshape(-1, 256)


def _k_nibbles(raw):
    """128 bytes to 8 × 32: each run of 32 bytes holds two sub-blocks, one in its low halves."""
    runs = raw.reshape(-1, 4, 1, 32)
    return np.concatenate([runs & 15, runs >> 4], axis=2).reshape(-1, 8, 32)


def _q4_k(raw):
    return _k_weights(raw, _k_nibbles(raw[:, 16:]))


def _q5_k(raw):
    fifth = (raw[:, 16:48][:, None, :] >> np.arange(8, dtype=np.uint8)[:, None]) & 1
    return _k_weights(raw, _k_nibbles(raw[:, 48:]) + 16.0 * fifth)


def _q6_k(raw):
    """Two halves of 128 codes; in each, 64 bytes of nibbles give two runs of 32, then two more from
    their high halves, and 32 bytes give two bits for each of the four."""
    low = raw[:, :128].reshape(-1, 2, 2, 32)
    low = np.concatenate([low & 15, low >> 4], axis=2)
    high = raw[:, 128:192].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
    codes = (low + 16.0 * high - 32.0).reshape(-1, 16, 16)
    scales = _half(raw[:, 208:210]) * np.ascontiguousarray(raw[:, 192:208]).view(np.int8)
    return scales[:, :, None] * codes


_DECODERS = {"F32": _f32, "F16": _f16, "BF16": _bf16, "Q8_0": _q8_0, "Q4_0": _q4_0, "Q4_1": _q4_1,
             "Q5_0": _q5_0, "Q5_1": _q5_1, "Q4_K": _q4_k, "Q5_K": _q5_k, "Q6_K": _q6_k}


def dequantise(stored):
    """A gguf_format.StoredTensor as float64, rows × columns."""
    blocks = stored.data.reshape(-1, TENSOR_TYPES[stored.type].block_bytes)
    return _DECODERS[stored.type](blocks).astype(np.float64).reshape(stored.rows, stored.columns)
