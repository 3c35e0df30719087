"""The families of fixtures: for each its shape, its keys and its tensors, under the names that
llama.cpp's converter gives them."""
import math
from dataclasses import dataclass, field, replace
from typing import Callable

import vocabulary
from gguf_format import BOOL, F32, STRING, U32


@dataclass(frozen=True)
class Shape:
    layers: int = 2
    width: int = 256
    feed_forward: int = 512
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 64
    vocabulary: int = 320
    context: int = 512
    tied: bool = False
    window: int = 0
    rotary: int = 0  # values of a head that turn; 0: all
    options: dict = field(default_factory=dict)

    @property
    def q_length(self):
        return self.heads * self.head_size

    @property
    def kv_length(self):
        return self.kv_heads * self.head_size


@dataclass(frozen=True)
class Tensor:
    name: str
    rows: int  # 1: a vector
    columns: int
    mean: float = 0.0
    spread: float = 1.0  # of its normally distributed numbers
    always_f32: bool = False
    values: list | None = None  # these instead


@dataclass(frozen=True)
class Family:
    architecture: str
    shape: Shape
    bench: Shape
    keys: Callable
    tensors: Callable
    write_vocabulary: Callable


def _matrix(name, rows, columns, gain=1.0):
    """Turns values of spread 1 into values of spread `gain`."""
    return Tensor(name, rows, columns, 0.0, gain / math.sqrt(columns))


def _norm(name, columns):
    """gemma's converter adds the 1 that its norms multiply by beside the weight, so all are about 1."""
    return Tensor(name, 1, columns, 1.0, 0.1)


def _bias(name, columns):
    return Tensor(name, 1, columns, 0.0, 0.1)


# Keys that several families have.

def _size_keys(s):
    return [("block_count", U32, s.layers), ("context_length", U32, s.context),
            ("embedding_length", U32, s.width), ("feed_forward_length", U32, s.feed_forward),
            ("attention.head_count", U32, s.heads)]


def _decoder_keys(s, epsilon=1e-5):
    return _size_keys(s) + [("attention.head_count_kv", U32, s.kv_heads),
                            ("attention.layer_norm_rms_epsilon", F32, epsilon)]


def _head_keys(s):
    return [("attention.key_length", U32, s.head_size), ("attention.value_length", U32, s.head_size)]


# Tensors that several families have.

_SHARP = 1.5  # queries a little larger than values, so that attention chooses


def _embedding(s, spread):
    return Tensor("token_embd.weight", s.vocabulary, s.width, 0.0, spread)


def _output(s):
    tensors = [_norm("output_norm.weight", s.width)]
    if not s.tied:
        tensors.append(_matrix("output.weight", s.vocabulary, s.width, 4.0))
    return tensors


def _separate_qkv(s, block, bias=False):
    for part, rows, gain in (("q", s.q_length, _SHARP), ("k", s.kv_length, 1.0),
                             ("v", s.kv_length, 1.0)):
        yield _matrix(f"{block}attn_{part}.weight", rows, s.width, gain)
        if bias:
            yield _bias(f"{block}attn_{part}.bias", rows)


def _gated_feed_forward(s, block):
    yield _norm(block + "ffn_norm.weight", s.width)
    yield _matrix(block + "ffn_gate.weight", s.feed_forward, s.width)
    yield _matrix(block + "ffn_up.weight", s.feed_forward, s.width)
    yield _matrix(block + "ffn_down.weight", s.width, s.feed_forward)


def _llama_like(s, bias=False, head_norms=False):
    """llama, and what differs in qwen2 (biases) and qwen3 (norms of each head)."""
    yield _embedding(s, 1.0)
    for layer in range(s.layers):
        block = f"blk.{layer}."
        yield _norm(block + "attn_norm.weight", s.width)
        yield from _separate_qkv(s, block, bias)
        if head_norms:
            yield _norm(block + "attn_q_norm.weight", s.head_size)
            yield _norm(block + "attn_k_norm.weight", s.head_size)
        yield _matrix(block + "attn_output.weight", s.width, s.q_length)
        yield from _gated_feed_forward(s, block)
    yield from _output(s)


def _llama_tensors(s):
    if s.options.get("rope_freqs"):
        yield Tensor("rope_freqs.weight", 1, s.head_size // 2, values=_llama3_factors(s))
    yield from _llama_like(s)


def _llama3_factors(s, factor=8.0, low=1.0, high=4.0, original_context=256):
    """By which llama 3.1 divides its frequencies: 1 for short waves, `factor` for long ones, and
    between them a smooth passage."""
    factors = []
    for pair in range(s.head_size // 2):
        wave_length = 2 * math.pi * s.options["rope_base"] ** (2 * pair / s.head_size)
        smooth = (original_context / wave_length - low) / (high - low)
        smooth = min(max(smooth, 0.0), 1.0)
        factors.append(1 / ((1 - smooth) / factor + smooth))
    return factors


def _llama_keys(s):
    keys = _decoder_keys(s) + _head_keys(s)
    keys += [("vocab_size", U32, s.vocabulary), ("rope.dimension_count", U32, s.head_size),
             ("rope.freq_base", F32, s.options.get("rope_base", 10000.0))]
    scaling = s.options.get("scaling")
    if scaling is not None:
        keys += [("rope.scaling.type", STRING, scaling), ("rope.scaling.factor", F32, 4.0)]
    if scaling == "yarn":
        keys.append(("rope.scaling.original_context_length", U32, s.context // 4))
    return keys


def _qwen2_keys(s):
    return _decoder_keys(s, 1e-6) + [("rope.freq_base", F32, 1e6)]


def _qwen2_tensors(s):
    return _llama_like(s, bias=True)


def _qwen3_keys(s):
    keys = _decoder_keys(s, 1e-6) + _head_keys(s) + [("rope.freq_base", F32, 1e6)]
    if "pooling" in s.options:
        keys.append(("pooling_type", U32, s.options["pooling"]))
    return keys


def _qwen3_tensors(s):
    return _llama_like(s, head_norms=True)


def _gemma_keys(s):
    return _decoder_keys(s, 1e-6) + _head_keys(s)


def _gemma2_keys(s):
    """Caps so low that they are felt."""
    return _gemma_keys(s) + [("attn_logit_softcapping", F32, 5.0),
                             ("final_logit_softcapping", F32, 8.0),
                             ("attention.sliding_window", U32, s.window)]


def _gemma3_keys(s):
    """Newer files name the windowed layers' base. Without a window there is no such layer."""
    keys = _gemma_keys(s) + [("rope.freq_base", F32, 1e6), ("rope.scaling.type", STRING, "linear"),
                             ("rope.scaling.factor", F32, 8.0)]
    if s.window:
        keys.append(("attention.sliding_window", U32, s.window))
    if "period" in s.options:
        keys.append(("attention.sliding_window_pattern", U32, s.options["period"]))
    if "window_base" in s.options:
        keys.append(("rope.freq_base_swa", F32, s.options["window_base"]))
    return keys


def _gemma_tensors(s, post_norms=False, head_norms=False):
    yield _embedding(s, 4.0 / math.sqrt(s.width))
    for layer in range(s.layers):
        block = f"blk.{layer}."
        yield _norm(block + "attn_norm.weight", s.width)
        yield from _separate_qkv(s, block)
        if head_norms:
            yield _norm(block + "attn_q_norm.weight", s.head_size)
            yield _norm(block + "attn_k_norm.weight", s.head_size)
        yield _matrix(block + "attn_output.weight", s.width, s.q_length)
        if post_norms:
            yield _norm(block + "post_attention_norm.weight", s.width)
        yield from _gated_feed_forward(s, block)
        if post_norms:
            yield _norm(block + "post_ffw_norm.weight", s.width)
    yield _norm("output_norm.weight", s.width)


def _gemma2_tensors(s):
    return _gemma_tensors(s, post_norms=True)


def _gemma3_tensors(s):
    return _gemma_tensors(s, post_norms=True, head_norms=True)


def _phi3_keys(s):
    original = s.options["original_context"]
    stretch = math.sqrt(1 + math.log(s.context / original) / math.log(original))
    return _decoder_keys(s) + [("rope.dimension_count", U32, s.rotary),
                               ("rope.freq_base", F32, 10000.0),
                               ("rope.scaling.original_context_length", U32, original),
                               ("rope.scaling.attn_factor", F32, stretch),
                               ("attention.sliding_window", U32, s.window)]


def _phi3_tensors(s):
    """Queries, keys and values are rows of one matrix, gate and up of another."""
    pairs = s.rotary // 2
    yield Tensor("rope_factors_long.weight", 1, pairs,
                 values=[1 + 0.5 * pair for pair in range(pairs)])
    yield Tensor("rope_factors_short.weight", 1, pairs,
                 values=[1 + 0.01 * pair for pair in range(pairs)])
    yield _embedding(s, 1.0)
    for layer in range(s.layers):
        block = f"blk.{layer}."
        yield _norm(block + "attn_norm.weight", s.width)
        yield _matrix(block + "attn_qkv.weight", s.q_length + 2 * s.kv_length, s.width, 1.4)
        yield _matrix(block + "attn_output.weight", s.width, s.q_length)
        yield _norm(block + "ffn_norm.weight", s.width)
        yield _matrix(block + "ffn_up.weight", 2 * s.feed_forward, s.width)
        yield _matrix(block + "ffn_down.weight", s.width, s.feed_forward)
    yield from _output(s)


def _bert_keys(s):
    return _size_keys(s) + [("attention.layer_norm_epsilon", F32, 1e-12),
                            ("attention.causal", BOOL, False),
                            ("pooling_type", U32, s.options["pooling"])]


def _bert_tensors(s):
    yield _embedding(s, 1.0)
    if s.options.get("types", True):
        yield Tensor("token_types.weight", 2, s.width, 0.0, 0.5, always_f32=True)
    yield Tensor("position_embd.weight", s.context, s.width, 0.0, 0.5, always_f32=True)
    yield from _norm_with_bias("token_embd_norm", s.width)
    for layer in range(s.layers):
        block = f"blk.{layer}."
        yield from _separate_qkv(s, block, bias=True)
        yield _matrix(block + "attn_output.weight", s.width, s.q_length)
        yield _bias(block + "attn_output.bias", s.width)
        yield from _norm_with_bias(block + "attn_output_norm", s.width)
        yield _matrix(block + "ffn_up.weight", s.feed_forward, s.width)
        yield _bias(block + "ffn_up.bias", s.feed_forward)
        yield _matrix(block + "ffn_down.weight", s.width, s.feed_forward)
        yield _bias(block + "ffn_down.bias", s.width)
        yield from _norm_with_bias(block + "layer_output_norm", s.width)


def _norm_with_bias(name, columns):
    yield _norm(name + ".weight", columns)
    yield _bias(name + ".bias", columns)


# Vocabularies.

def _byte_level(rule, chat=True):
    return lambda writer, shape: vocabulary.write_byte_level(writer, shape.vocabulary, rule, chat)


def _word_piece(writer, shape):
    vocabulary.write_word_piece(writer, shape.vocabulary)


# The families. Pooling types are GGUF's: 1 mean, 2 first, 3 last. Head sizes of the benchmark are
# multiples of 32, as llama.cpp's int8 caches want them.

def _family(architecture, keys, tensors, write_vocabulary, shape, **bench):
    larger = dict(width=768, feed_forward=1536, heads=12, kv_heads=4, head_size=64, vocabulary=720)
    return Family(architecture, shape, replace(shape, **{**larger, **bench}), keys, tensors,
                  write_vocabulary)


def _llama(rule="llama-bpe", **shape):
    return _family("llama", _llama_keys, _llama_tensors, _byte_level(rule), Shape(**shape))


def _phi3(context, original_context, rotary, window):
    """llama.cpp sees no window, so that of the benchmark's shape is longer than the context."""
    shape = Shape(context=context, rotary=rotary, window=window,
                  options={"original_context": original_context})
    return _family("phi3", _phi3_keys, _phi3_tensors, _byte_level("gpt-2"), shape, window=2 * context)


def _bert(pooling, types=True):
    """distilbert is one without token types."""
    shape = Shape(heads=8, kv_heads=8, head_size=32, options={"pooling": pooling, "types": types})
    return _family("bert", _bert_keys, _bert_tensors, _word_piece, shape, heads=24, kv_heads=24,
                   head_size=32)


def _gemma3(**shape):
    return _family("gemma3", _gemma3_keys, _gemma3_tensors, _byte_level("gpt-2"),
                   Shape(feed_forward=256, kv_heads=1, tied=True, **shape))


_qwen3 = Shape(heads=16, kv_heads=4, head_size=80)

FAMILIES = {
    "llama": _llama("gpt-2"),
    "llama-linear": _llama("gpt-2", heads=16, kv_heads=4, head_size=48, options={"scaling": "linear"}),
    "llama-yarn": _llama("gpt-2", options={"scaling": "yarn"}),
    "llama3": _llama(tied=True, options={"rope_freqs": True, "rope_base": 500000.0}),
    "qwen2": _family("qwen2", _qwen2_keys, _qwen2_tensors, _byte_level("qwen2"),
                     Shape(heads=8, head_size=32, tied=True)),
    "qwen3": _family("qwen3", _qwen3_keys, _qwen3_tensors, _byte_level("qwen2"), _qwen3),
    "qwen3-embedding": _family("qwen3", _qwen3_keys, _qwen3_tensors,
                               _byte_level("qwen2", chat=False),
                               replace(_qwen3, tied=True, options={"pooling": 3})),
    "gemma": _family("gemma", _gemma_keys, _gemma_tensors, _byte_level("gpt-2"),
                     Shape(heads=2, kv_heads=1, head_size=128, tied=True), kv_heads=1),
    "gemma2": _family("gemma2", _gemma2_keys, _gemma2_tensors, _byte_level("gpt-2"),
                      Shape(heads=16, kv_heads=4, head_size=48, window=100, tied=True)),
    # With as many layers as the 27B model its score scale is another.
    "gemma2-27b": _family("gemma2", _gemma2_keys, _gemma2_tensors, _byte_level("gpt-2"),
                          Shape(layers=46, width=64, feed_forward=64, heads=2, kv_heads=1, head_size=64,
                                window=100, tied=True)),
    # Five layers of six look back over the window only.
    "gemma3": _gemma3(layers=6, window=64),
    "gemma3-own-layers": _gemma3(layers=3, window=64, options={"period": 2, "window_base": 500.0}),
    "gemma3-no-window": _gemma3(layers=2),
    "phi3": _phi3(context=1024, original_context=512, rotary=64, window=2048),
    # A prompt beyond the original context; a quarter of each head does not turn.
    "phi3-long": _phi3(context=512, original_context=128, rotary=48, window=100),
    "bert": _bert(pooling=1),
    "bert-first": _bert(pooling=2),
    "bert-last": _bert(pooling=3),
    "distilbert": _bert(pooling=1, types=False),
}
