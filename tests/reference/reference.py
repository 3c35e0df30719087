#!/usr/bin/env python3
"""Computes GGUF models in float64 as their authors define them: the yardstick for the engine.

  reference.py MODEL.gguf --tokens 5,1,7 [--at 0,2] [--max-tokens N]

prints one JSON object: for a model that generates {"logits": a row for each position of --at}, for
one that embeds {"embedding": …}. Weights are what the file's types say, taken to float64; nothing
else is rounded. `GGUF:` marks what is a convention of the file and not of the paper.

--max-tokens: how far the request may go on (0), which chooses phi3's rotary factors.
"""
import argparse
import json
import math

import numpy as np

import gguf_format as gguf
from dequantise import dequantise
from operators import (attention, frequencies, gelu, gelu_tanh, layer_norm, rms_norm,
                       rotate_halves, rotate_neighbours, silu, softcap, yarn_frequencies,
                       yarn_magnitude)


class Model:
    """A file's keys by their names without the architecture, and its tensors in float64."""

    def __init__(self, path):
        self._file = gguf.Reader(path)
        self.architecture = self._file.keys["general.architecture"]
        self._tensors = {}
        self.layers = self.key("block_count")
        self.width = self.key("embedding_length")
        if self.architecture not in ARCHITECTURES:
            raise ValueError(f"{path}: no reference for architecture {self.architecture!r}")

    def key(self, name, default=None):
        value = self._file.keys.get(f"{self.architecture}.{name}", default)
        if value is None:
            raise KeyError(f"{self.architecture}.{name}")
        return value

    def tensor(self, name):
        """Rows × columns, or a plain vector."""
        if name not in self._tensors:
            values = dequantise(self._file.tensors[name])
            self._tensors[name] = values[0] if len(values) == 1 else values
        return self._tensors[name]

    def has(self, name):
        return name in self._file.tensors

    def linear(self, name, x):
        """name.weight times each row of x, plus name.bias where there is one."""
        out = x @ self.tensor(name + ".weight").T
        return out + self.tensor(name + ".bias") if self.has(name + ".bias") else out

    def rms(self, name, x):
        """GGUF: gemma's 1 + weight is in the file as one number."""
        return rms_norm(x, self.tensor(name + ".weight"),
                        self.key("attention.layer_norm_rms_epsilon"))

    def layer_norm(self, name, x):
        return layer_norm(x, self.tensor(name + ".weight"), self.tensor(name + ".bias"),
                          self.key("attention.layer_norm_epsilon"))

    # Shapes of heads.
    @property
    def heads(self):
        return self.key("attention.head_count")

    @property
    def kv_heads(self):
        return self.key("attention.head_count_kv", self.heads)

    @property
    def head_size(self):
        return self.key("attention.key_length", self.width // self.heads)

    def by_head(self, x, heads):
        return x.reshape(len(x), heads, self.head_size)

    def qkv(self, block, x):
        """Queries, keys and values by head."""
        return (self.by_head(self.linear(block + "attn_q", x), self.heads),
                self.by_head(self.linear(block + "attn_k", x), self.kv_heads),
                self.by_head(self.linear(block + "attn_v", x), self.kv_heads))


# The architectures: token ids to final normalised states, a row for each position.

def llama(model, tokens, _max_tokens):
    """Touvron et al. 2023; the Llama 3 herd of models 2024. GGUF: rotary pairs are neighbours."""
    turning, magnitude = llama_frequencies(model)
    x = model.tensor("token_embd.weight")[tokens]
    for layer in range(model.layers):
        block = f"blk.{layer}."
        q, k, v = model.qkv(block, model.rms(block + "attn_norm", x))
        q = rotate_neighbours(q, turning, magnitude)
        k = rotate_neighbours(k, turning, magnitude)
        attended = attention(q, k, v, 1 / math.sqrt(model.head_size))
        x = x + model.linear(block + "attn_output", attended)
        x = x + gated_feed_forward(model, block, model.rms(block + "ffn_norm", x), silu)
    return model.rms("output_norm", x)


def llama_frequencies(model):
    """Linear scaling, YaRN, or llama 3.1's: GGUF: its factors, one for each pair, lie in the file."""
    rotary = model.key("rope.dimension_count", model.head_size)
    base = model.key("rope.freq_base", 10000.0)
    scaling, factor = model.key("rope.scaling.type", "none"), model.key("rope.scaling.factor", 1.0)
    if scaling == "yarn":
        original = model.key("rope.scaling.original_context_length")
        return yarn_frequencies(rotary, base, factor, original), yarn_magnitude(factor)
    turning = frequencies(rotary, base)
    if scaling == "linear":
        turning = turning / factor
    if model.has("rope_freqs.weight"):
        turning = turning / model.tensor("rope_freqs.weight")
    return turning, 1.0


def gated_feed_forward(model, block, x, activation):
    """Shazeer 2020."""
    gate = activation(model.linear(block + "ffn_gate", x))
    return model.linear(block + "ffn_down", gate * model.linear(block + "ffn_up", x))


def qwen2(model, tokens, _max_tokens):
    """Yang et al. 2024: llama with biases of queries, keys and values (`linear` adds them)."""
    turning = frequencies(model.head_size, model.key("rope.freq_base"))
    x = model.tensor("token_embd.weight")[tokens]
    for layer in range(model.layers):
        block = f"blk.{layer}."
        q, k, v = model.qkv(block, model.rms(block + "attn_norm", x))
        attended = attention(rotate_halves(q, turning), rotate_halves(k, turning), v,
                             1 / math.sqrt(model.head_size))
        x = x + model.linear(block + "attn_output", attended)
        x = x + gated_feed_forward(model, block, model.rms(block + "ffn_norm", x), silu)
    return model.rms("output_norm", x)


def qwen3(model, tokens, _max_tokens):
    """Yang et al. 2025: no biases; each head of queries and keys is normalised before it turns."""
    turning = frequencies(model.head_size, model.key("rope.freq_base"))
    x = model.tensor("token_embd.weight")[tokens]
    for layer in range(model.layers):
        block = f"blk.{layer}."
        q, k, v = model.qkv(block, model.rms(block + "attn_norm", x))
        q = rotate_halves(model.rms(block + "attn_q_norm", q), turning)
        k = rotate_halves(model.rms(block + "attn_k_norm", k), turning)
        attended = attention(q, k, v, 1 / math.sqrt(model.head_size))
        x = x + model.linear(block + "attn_output", attended)
        x = x + gated_feed_forward(model, block, model.rms(block + "ffn_norm", x), silu)
    return model.rms("output_norm", x)


def gemma(model, tokens, _max_tokens):
    """Gemma Team 2024a: embeddings are scaled, the gate is a GELU."""
    turning = frequencies(model.head_size, model.key("rope.freq_base", 10000.0))
    x = model.tensor("token_embd.weight")[tokens] * math.sqrt(model.width)
    for layer in range(model.layers):
        block = f"blk.{layer}."
        q, k, v = model.qkv(block, model.rms(block + "attn_norm", x))
        attended = attention(rotate_halves(q, turning), rotate_halves(k, turning), v,
                             1 / math.sqrt(model.head_size))
        x = x + model.linear(block + "attn_output", attended)
        x = x + gated_feed_forward(model, block, model.rms(block + "ffn_norm", x), gelu_tanh)
    return model.rms("output_norm", x)


def gemma2(model, tokens, _max_tokens):
    """Gemma Team 2024b: norms behind each part too, scores and logits are capped, every other layer
    (the first, the third…) sees a window only."""
    turning = frequencies(model.head_size, model.key("rope.freq_base", 10000.0))
    scale = gemma_score_scale(model, layers_of_27b=46)
    x = model.tensor("token_embd.weight")[tokens] * math.sqrt(model.width)
    for layer in range(model.layers):
        block = f"blk.{layer}."
        q, k, v = model.qkv(block, model.rms(block + "attn_norm", x))
        attended = attention(rotate_halves(q, turning), rotate_halves(k, turning), v, scale,
                             window=model.key("attention.sliding_window") if layer % 2 == 0 else 0,
                             cap=model.key("attn_logit_softcapping"))
        attended = model.linear(block + "attn_output", attended)
        x = x + model.rms(block + "post_attention_norm", attended)
        changed = gated_feed_forward(model, block, model.rms(block + "ffn_norm", x), gelu_tanh)
        x = x + model.rms(block + "post_ffw_norm", changed)
    return model.rms("output_norm", x)


def gemma_score_scale(model, layers_of_27b):
    """GGUF: the file does not say that the 27B models divide by the root of width / heads; they are
    known by their number of layers."""
    if model.layers == layers_of_27b:
        return 1 / math.sqrt(model.width // model.heads)
    return 1 / math.sqrt(model.head_size)


def gemma3(model, tokens, _max_tokens):
    """Gemma Team 2025: five layers that see a window, then one that sees all, with a slower rotary
    base of its own, which alone is scaled; heads are normalised instead of capped. GGUF: without a
    window all layers are of the latter kind."""
    everywhere = frequencies(model.head_size, model.key("rope.freq_base"))
    if model.key("rope.scaling.type", "none") == "linear":
        everywhere = everywhere / model.key("rope.scaling.factor")
    nearby = frequencies(model.head_size, model.key("rope.freq_base_swa", 10000.0))
    window = model.key("attention.sliding_window", 0)
    period = model.key("attention.sliding_window_pattern", 6)
    scale = gemma_score_scale(model, layers_of_27b=62)
    x = model.tensor("token_embd.weight")[tokens] * math.sqrt(model.width)
    for layer in range(model.layers):
        block = f"blk.{layer}."
        sees_all = window == 0 or layer % period == period - 1
        turning = everywhere if sees_all else nearby
        q, k, v = model.qkv(block, model.rms(block + "attn_norm", x))
        q = rotate_halves(model.rms(block + "attn_q_norm", q), turning)
        k = rotate_halves(model.rms(block + "attn_k_norm", k), turning)
        attended = attention(q, k, v, scale,
                             window=0 if sees_all else window)
        attended = model.linear(block + "attn_output", attended)
        x = x + model.rms(block + "post_attention_norm", attended)
        changed = gated_feed_forward(model, block, model.rms(block + "ffn_norm", x), gelu_tanh)
        x = x + model.rms(block + "post_ffw_norm", changed)
    return model.rms("output_norm", x)


def phi3(model, tokens, max_tokens):
    """Abdin et al. 2024; Ding et al. 2024 (LongRoPE): frequencies are divided by one set of factors
    within the original context, by another beyond, and both turn with a larger magnitude; every
    layer sees a window. GGUF: queries, keys and values are rows of one matrix, gate and up of
    another; the magnitude is a key."""
    rotary = model.key("rope.dimension_count")
    turning = frequencies(rotary, model.key("rope.freq_base"))
    magnitude = model.key("rope.scaling.attn_factor", 1.0)
    if model.has("rope_factors_long.weight"):
        original = model.key("rope.scaling.original_context_length")
        length = "short" if len(tokens) + max_tokens <= original else "long"
        turning = turning / model.tensor(f"rope_factors_{length}.weight")
    x = model.tensor("token_embd.weight")[tokens]
    for layer in range(model.layers):
        block = f"blk.{layer}."
        qkv = model.by_head(model.linear(block + "attn_qkv", model.rms(block + "attn_norm", x)),
                            model.heads + 2 * model.kv_heads)
        q, k, v = np.split(qkv, [model.heads, model.heads + model.kv_heads], axis=1)
        q = rotate_halves(q, turning, magnitude)
        k = rotate_halves(k, turning, magnitude)
        attended = attention(q, k, v, 1 / math.sqrt(model.head_size),
                             window=model.key("attention.sliding_window", 0))
        x = x + model.linear(block + "attn_output", attended)
        gate, up = np.split(model.linear(block + "ffn_up", model.rms(block + "ffn_norm", x)), 2,
                            axis=1)
        x = x + model.linear(block + "ffn_down", silu(gate) * up)
    return model.rms("output_norm", x)


def bert(model, tokens, _max_tokens):
    """Devlin et al. 2018: learnt positions, every position sees all, norms behind each part. All
    tokens are of the first segment, which Sanh et al. 2019 (DistilBERT) do without."""
    x = model.tensor("token_embd.weight")[tokens] + model.tensor("position_embd.weight")[:len(tokens)]
    if model.has("token_types.weight"):
        x = x + model.tensor("token_types.weight")[0]
    x = model.layer_norm("token_embd_norm", x)
    for layer in range(model.layers):
        block = f"blk.{layer}."
        q, k, v = model.qkv(block, x)
        attended = attention(q, k, v, 1 / math.sqrt(model.head_size), causal=False)
        x = model.layer_norm(block + "attn_output_norm",
                             x + model.linear(block + "attn_output", attended))
        changed = model.linear(block + "ffn_down", gelu(model.linear(block + "ffn_up", x)))
        x = model.layer_norm(block + "layer_output_norm", x + changed)
    return x


ARCHITECTURES = {"llama": llama, "qwen2": qwen2, "qwen3": qwen3, "gemma": gemma, "gemma2": gemma2,
                 "gemma3": gemma3, "phi3": phi3, "bert": bert}


def states(model, tokens, max_tokens=0):
    """The final normalised state of each position."""
    return ARCHITECTURES[model.architecture](model, np.asarray(tokens), max_tokens)


def logits(model, rows):
    """Of states. Without an output matrix the embedding is it."""
    tied = not model.has("output.weight")
    matrix = model.tensor("token_embd.weight" if tied else "output.weight")
    return softcap(rows @ matrix.T, model.key("final_logit_softcapping", 0.0))


def pooled(model, rows):
    """The embedding of length 1 that a text's states make: GGUF: pooling_type 1 is their mean, 2
    the first, 3 the last."""
    one = {1: rows.mean(axis=0), 2: rows[0], 3: rows[-1]}[model.key("pooling_type")]
    return one / np.sqrt(np.sum(one * one))


def embeds(model):
    return model.key("pooling_type", 0) != 0


def result(model, tokens, at, max_tokens=0):
    """As the command line prints it."""
    rows = states(model, tokens, max_tokens)
    if embeds(model):
        return {"embedding": pooled(model, rows).tolist()}
    return {"logits": logits(model, rows[at]).tolist()}


def _numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="MODEL.gguf")
    parser.add_argument("--tokens", required=True, type=_numbers, metavar="ID,…")
    parser.add_argument("--at", default=[-1], type=_numbers, metavar="PLACE,…",
                        help="positions whose logits are wanted; -1 is the last")
    parser.add_argument("--max-tokens", default=0, type=int, metavar="N")
    arguments = parser.parse_args()
    print(json.dumps(result(Model(arguments.model), arguments.tokens, arguments.at,
                            arguments.max_tokens)))


if __name__ == "__main__":
    main()
