#!/usr/bin/env python3
"""Writes a GGUF file again with all its weights as F32: what its types say, without them.

  float_copy.py FROM.gguf TO.gguf
"""
import sys

import gguf_format as gguf
from dequantise import dequantise


def float_copy(source, target):
    reader = gguf.Reader(source)
    writer = gguf.Writer()
    writer.copy_keys(reader)
    for name, stored in reader.tensors.items():
        dimensions = (stored.columns,) if stored.rows == 1 else (stored.columns, stored.rows)
        writer.tensor(name, dimensions, "F32", dequantise(stored).astype("<f4").tobytes())
    writer.write(target)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    float_copy(*sys.argv[1:])
