#!/usr/bin/env python3
"""Writes a small random-weight GGUF file of one family, its keys and tensors as a converter writes them.

  make_fixture.py FAMILY TYPE FILE [--seed N] [--bench]
  make_fixture.py --list

The numbers depend on family, size and seed alone; the type only says how the matrices are stored.
--bench makes the larger shapes that the accuracy benchmark uses.
"""
import argparse
import zlib

import numpy as np

import gguf_format as gguf
from families import FAMILIES
from quantise import quantise


def _stored_type(tensor, wanted):
    """Vectors and what a converter never quantises stay F32. Q4_K_M is a mix in the manner of the
    files that most people run: some matrices in Q6_K."""
    if tensor.rows == 1 or tensor.always_f32:
        return "F32"
    if wanted == "Q4_K_M":
        sixes = ("token_embd.weight", "output.weight", "attn_v.weight", "ffn_down.weight")
        return "Q6_K" if tensor.name.endswith(sixes) else "Q4_K"
    return wanted


def _values(tensor, seed):
    if tensor.values is not None:
        return np.asarray(tensor.values, np.float32).reshape(tensor.rows, tensor.columns)
    random = np.random.Generator(np.random.Philox(key=[seed, zlib.crc32(tensor.name.encode())]))
    noise = random.standard_normal((tensor.rows, tensor.columns), dtype=np.float32)
    return np.float32(tensor.mean) + np.float32(tensor.spread) * noise


def write_fixture(family_name, type_name, path, seed=1, bench=False):
    family = FAMILIES[family_name]
    shape = family.bench if bench else family.shape
    writer = gguf.Writer()
    writer.key("general.architecture", gguf.STRING, family.architecture)
    writer.key("general.type", gguf.STRING, "model")
    writer.key("general.name", gguf.STRING, "random weights")
    file_type = 15 if type_name == "Q4_K_M" else gguf.TENSOR_TYPES[type_name].file_type
    writer.key("general.file_type", gguf.U32, file_type)
    writer.key("general.quantization_version", gguf.U32, 2)
    for name, value_type, value in family.keys(shape):
        writer.key(f"{family.architecture}.{name}", value_type, value)
    family.write_vocabulary(writer, shape)
    for tensor in family.tensors(shape):
        stored = _stored_type(tensor, type_name)
        dimensions = (tensor.columns,) if tensor.rows == 1 else (tensor.columns, tensor.rows)
        writer.tensor(tensor.name, dimensions, stored, quantise(stored, _values(tensor, seed)))
    writer.write(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family", nargs="?", choices=sorted(FAMILIES), metavar="FAMILY")
    parser.add_argument("type", nargs="?", choices=[*gguf.TENSOR_TYPES, "Q4_K_M"], metavar="TYPE")
    parser.add_argument("file", nargs="?", metavar="FILE")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bench", action="store_true", help="the larger shape")
    parser.add_argument("--list", action="store_true", help="print the families")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(FAMILIES))
    elif arguments.file is None:
        parser.error("FAMILY, TYPE and FILE are needed")
    else:
        write_fixture(arguments.family, arguments.type, arguments.file, arguments.seed,
                      arguments.bench)


if __name__ == "__main__":
    main()
