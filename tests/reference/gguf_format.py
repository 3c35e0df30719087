"""The GGUF container: its numbers, a writer and a small reader. Source: ggml's docs/gguf.md."""
import struct
from dataclasses import dataclass

import numpy as np

ALIGNMENT = 32  # bytes; the tensors of a file start at multiples of it

# Value types of keys.
U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
_FORMATS = {U8: "<B", I8: "<b", U16: "<H", I16: "<h", U32: "<I", I32: "<i", F32: "<f",
            BOOL: "<?", U64: "<Q", I64: "<q", F64: "<d"}


@dataclass(frozen=True)
class TensorType:
    id: int            # as the file says it
    block_values: int  # a row is whole blocks
    block_bytes: int
    file_type: int     # general.file_type of a file that is mostly of this type


TENSOR_TYPES = {
    "F32": TensorType(0, 1, 4, 0),
    "F16": TensorType(1, 1, 2, 1),
    "BF16": TensorType(30, 1, 2, 32),
    "Q4_0": TensorType(2, 32, 18, 2),
    "Q4_1": TensorType(3, 32, 20, 3),
    "Q5_0": TensorType(6, 32, 22, 8),
    "Q5_1": TensorType(7, 32, 24, 9),
    "Q8_0": TensorType(8, 32, 34, 7),
    "Q4_K": TensorType(12, 256, 144, 14),
    "Q5_K": TensorType(13, 256, 176, 16),
    "Q6_K": TensorType(14, 256, 210, 18),
}
_TYPE_NAMES = {tensor_type.id: name for name, tensor_type in TENSOR_TYPES.items()}


class Writer:
    """Collects keys and tensors; `write` lays out the file."""

    def __init__(self):
        self._keys = []
        self._infos = []
        self._data = []
        self._data_bytes = 0

    def key(self, name, value_type, value):
        self._keys.append(_text(name) + struct.pack("<I", value_type) + _value(value_type, value))

    def array(self, name, value_type, values):
        self._keys.append(_text(name) + struct.pack("<IIQ", ARRAY, value_type, len(values)) +
                          b"".join(_value(value_type, value) for value in values))

    def copy_keys(self, reader):
        """All keys of another file, as they lie there."""
        self._keys.extend(reader.raw_keys)

    def tensor(self, name, dimensions, type_name, data):
        """`dimensions`: the fastest first, so (columns, rows)."""
        self._infos.append(_text(name) + struct.pack("<I", len(dimensions)) +
                           struct.pack(f"<{len(dimensions)}Q", *dimensions) +
                           struct.pack("<IQ", TENSOR_TYPES[type_name].id, self._data_bytes))
        padding = -len(data) % ALIGNMENT
        self._data.append(data + b"\0" * padding)
        self._data_bytes += len(data) + padding

    def write(self, path):
        head = (b"GGUF" + struct.pack("<IQQ", 3, len(self._infos), len(self._keys)) +
                b"".join(self._keys) + b"".join(self._infos))
        with open(path, "wb") as file:
            file.write(head + b"\0" * (-len(head) % ALIGNMENT))
            file.writelines(self._data)


def _text(text):
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _value(value_type, value):
    return _text(value) if value_type == STRING else struct.pack(_FORMATS[value_type], value)


@dataclass(frozen=True)
class StoredTensor:
    type: str
    rows: int     # 1 for a vector
    columns: int
    data: np.ndarray  # bytes


class Reader:
    """keys: name to value; raw_keys: their bytes, names and all. tensors: name to StoredTensor. Reads a
    sound file; a lying one raises."""

    def __init__(self, path):
        self._bytes = np.fromfile(path, np.uint8)
        self._raw = self._bytes.data
        self._place = 4
        if bytes(self._raw[:4]) != b"GGUF":
            raise ValueError(f"{path}: not a GGUF file")
        version, tensor_count, key_count = (self._number(t) for t in (U32, U64, U64))
        if version != 3:
            raise ValueError(f"{path}: GGUF version {version}; 3 is read")
        self.keys, self.raw_keys = {}, []
        for _ in range(key_count):
            start = self._place
            name = self._string()
            self.keys[name] = self._read(self._number(U32))
            self.raw_keys.append(bytes(self._raw[start:self._place]))
        infos = [self._info() for _ in range(tensor_count)]
        start = self._place + -self._place % self.keys.get("general.alignment", ALIGNMENT)
        self.tensors = {name: self._stored(dimensions, type_name, start + offset)
                        for name, dimensions, type_name, offset in infos}

    def _number(self, value_type):
        number_format = _FORMATS[value_type]
        (value,) = struct.unpack_from(number_format, self._raw, self._place)
        self._place += struct.calcsize(number_format)
        return value

    def _string(self):
        length = self._number(U64)
        self._place += length
        return bytes(self._raw[self._place - length:self._place]).decode("utf-8", "replace")

    def _read(self, value_type):
        if value_type == STRING:
            return self._string()
        if value_type == ARRAY:
            element_type, count = self._number(U32), self._number(U64)
            return [self._read(element_type) for _ in range(count)]
        return self._number(value_type)

    def _info(self):
        name = self._string()
        dimensions = [self._number(U64) for _ in range(self._number(U32))]
        return name, dimensions, _TYPE_NAMES[self._number(U32)], self._number(U64)

    def _stored(self, dimensions, type_name, place):
        columns, rows = dimensions[0], int(np.prod(dimensions[1:], dtype=np.int64))
        tensor_type = TENSOR_TYPES[type_name]
        size = rows * columns // tensor_type.block_values * tensor_type.block_bytes
        return StoredTensor(type_name, rows, columns, self._bytes[place:place + size])
