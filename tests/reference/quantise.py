"""Encoders of GGUF's tensor types, in numpy: float32 rows in, bytes out.

Any encoder that keeps to a type's layout makes a valid file; these are chosen to use all of it: every
code, scales of either sign, minima on either side of zero. `dequantise.py` is their counterpart and
shares no code with them. Source of the layouts: ggml's ggml-common.h.
"""
import numpy as np


def _half(values):
    """The two bytes of each fp16."""
    return values.astype("<f2")[:, None].view(np.uint8)


def _ratio(a, b):
    return np.divide(a, b, out=np.zeros_like(a), where=b != 0)


def _f32(x):
    return x.astype("<f4").tobytes()


def _f16(x):
    return x.astype("<f2").tobytes()


def _bf16(x):
    bits = x.astype("<f4").view("<u4")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()


def _codes_around_zero(blocks, lowest, highest):
    """Each block's scale and codes lowest…highest; the scale takes the sign that gives `lowest` to
    the value of the largest magnitude."""
    extreme = np.take_along_axis(blocks, np.abs(blocks).argmax(1)[:, None], 1)[:, 0]
    scale = (extreme / np.float32(lowest)).astype("<f2")
    codes = np.rint(_ratio(blocks, np.broadcast_to(scale.astype(np.float32)[:, None], blocks.shape)))
    return scale, np.clip(codes, lowest, highest)


def _codes_above_minimum(blocks, highest):
    """Each block's scale, minimum and codes 0…highest. Every other block counts down from its
    largest value, with a negative scale."""
    down = (np.arange(len(blocks)) % 2 == 1)
    low, high = blocks.min(1), blocks.max(1)
    minimum = np.where(down, high, low).astype("<f2")
    scale = (np.where(down, low - high, high - low) / np.float32(highest)).astype("<f2")
    above = blocks - minimum.astype(np.float32)[:, None]
    codes = np.rint(_ratio(above, np.broadcast_to(scale.astype(np.float32)[:, None], above.shape)))
    return scale, minimum, np.clip(codes, 0, highest).astype(np.uint8)


def _nibbles(codes):
    """32 codes to 16 bytes: code i below code i + 16."""
    return (codes[:, :16] & 15) | ((codes[:, 16:] & 15) << 4)


def _fifth_bits(codes):
    """Bit 4 of 32 codes as 4 bytes."""
    return np.packbits((codes >> 4) & 1, axis=1, bitorder="little")


def _q8_0(x):
    scale, codes = _codes_around_zero(x.reshape(-1, 32), -128, 127)
    return np.hstack([_half(scale), codes.astype(np.int8).view(np.uint8)])


def _q4_0(x):
    scale, codes = _codes_around_zero(x.reshape(-1, 32), -8, 7)
    return np.hstack([_half(scale), _nibbles((codes + 8).astype(np.uint8))])


def _q5_0(x):
    scale, codes = _codes_around_zero(x.reshape(-1, 32), -16, 15)
    codes = (codes + 16).astype(np.uint8)
    return np.hstack([_half(scale), _fifth_bits(codes), _nibbles(codes)])


def _q4_1(x):
    scale, minimum, codes = _codes_above_minimum(x.reshape(-1, 32), 15)
    return np.hstack([_half(scale), _half(minimum), _nibbles(codes)])


def _q5_1(x):
    scale, minimum, codes = _codes_above_minimum(x.reshape(-1, 32), 31)
    return np.hstack([_half(scale), _half(minimum), _fifth_bits(codes), _nibbles(codes)])


def _k_codes_above_minimum(x, highest):
    """Super-blocks of 8 × 32 with a 6-bit scale and minimum for each 32, of which the minimum is
    subtracted. Every other super-block is encoded upside down: both fp16 numbers are negative."""
    blocks = x.reshape(-1, 8, 32)
    sign = np.where(np.arange(len(blocks)) % 2 == 1, np.float32(-1), np.float32(1))
    blocks = blocks * sign[:, None, None]
    below = np.maximum(-blocks.min(2), 0)
    step = (blocks.max(2) + below) / np.float32(highest)
    scale = (step.max(1) / np.float32(63)).astype("<f2")
    minimum = (below.max(1) / np.float32(63)).astype("<f2")
    wide_scale, wide_minimum = (v.astype(np.float32)[:, None] for v in (scale, minimum))
    sub_scales = np.clip(np.rint(_ratio(step, np.broadcast_to(wide_scale, step.shape))), 0, 63)
    sub_minima = np.clip(np.rint(_ratio(below, np.broadcast_to(wide_minimum, below.shape))), 0, 63)
    width = (wide_scale * sub_scales)[:, :, None]
    above = blocks + (wide_minimum * sub_minima)[:, :, None]
    codes = np.clip(np.rint(_ratio(above, np.broadcast_to(width, above.shape))), 0, highest)
    signed = (_half(sign * scale.astype(np.float32)), _half(sign * minimum.astype(np.float32)))
    return signed, sub_scales.astype(np.uint8), sub_minima.astype(np.uint8), codes.astype(np.uint8)


def _six_bit_pairs(scales, minima):
    """8 scales and 8 minima of 6 bits in 12 bytes: the first four of each whole, with two bits of
    the last four above them; the other bits of those in nibbles behind."""
    return np.hstack([scales[:, :4] | ((scales[:, 4:] >> 4) << 6),
                      minima[:, :4] | ((minima[:, 4:] >> 4) << 6),
                      (scales[:, 4:] & 15) | ((minima[:, 4:] & 15) << 4)])


def _k_nibbles(codes):
    """8 × 32 codes to 128 bytes: sub-block 2i below sub-block 2i + 1."""
    return ((codes[:, 0::2] & 15) | ((codes[:, 1::2] & 15) << 4)).reshape(-1, 128)


def _q4_k(x):
    halves, scales, minima, codes = _k_codes_above_minimum(x, 15)
    return np.hstack([*halves, _six_bit_pairs(scales, minima), _k_nibbles(codes)])


def _q5_k(x):
    halves, scales, minima, codes = _k_codes_above_minimum(x, 31)
    # Byte i holds the fifth bits of code i of all eight sub-blocks.
    fifth = np.packbits((codes >> 4) & 1, axis=1, bitorder="little")[:, 0]
    return np.hstack([*halves, _six_bit_pairs(scales, minima), fifth, _k_nibbles(codes)])


def _q6_k(x):
    blocks = x.reshape(-1, 16, 16)
    extreme = np.take_along_axis(blocks, np.abs(blocks).argmax(2)[:, :, None], 2)[:, :, 0]
    step = extreme / np.float32(-32)  # signed
    scale, sub_scales = _codes_around_zero(step, -128, 127)
    width = (scale.astype(np.float32)[:, None] * sub_scales)[:, :, None]
    codes = np.rint(_ratio(blocks, np.broadcast_to(width, blocks.shape)))
    codes = (np.clip(codes, -32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low = np.stack([(codes[:, :, 0] & 15) | ((codes[:, :, 2] & 15) << 4),
                    (codes[:, :, 1] & 15) | ((codes[:, :, 3] & 15) << 4)], axis=2)
    high = sum((codes[:, :, i] >> 4) << (2 * i) for i in range(4))
    return np.hstack([low.reshape(-1, 128), high.reshape(-1, 64),
                      sub_scales.astype(np.int8).view(np.uint8), _half(scale)])


_ENCODERS = {"F32": _f32, "F16": _f16, "BF16": _bf16, "Q8_0": _q8_0, "Q4_0": _q4_0, "Q4_1": _q4_1,
             "Q5_0": _q5_0, "Q5_1": _q5_1, "Q4_K": _q4_k, "Q5_K": _q5_k, "Q6_K": _q6_k}


def quantise(type_name, values):
    """The bytes of `values` (float32, rows × columns) as GGUF stores them."""
    data = _ENCODERS[type_name](np.ascontiguousarray(values, np.float32))
    return data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
