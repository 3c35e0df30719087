#version 450
// RMS norm of rows, or of the groups of rows, on its own or after a residual addition, with an int8
// form of its result where that is wanted.
//
//   kAdd:  x = snap(x + y)
//   out = snap((x * rsqrt(sum(x^2) * inverse_count + epsilon)) * weight)
//   kForm: out also as int8 per 32 or per 256 columns (include/int8_form.glsl)
//
// Bindings: 0 x, 1 y, 2 weight, 3 out (which may be x), 4 int8 words of out, 5 their numbers.
// Offsets in elements of the binding's type. Rows are `stride` floats apart, a multiple of 32; the
// columns past the last hold +0 and add nothing to the sum. Groups of whole blocks are rows by
// themselves. kScattered: others, `groups` of `columns` in each row; then neither kAdd nor kForm.
// Shape: one octet a row, lane l takes columns 4l … 4l+3 of each 32.
// Promise: the sum is the contract's vector sum; the bits of a row depend on that row alone. At
// most blocks * 25 / 8 iterations.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

#define INT8_WORDS 4
#define INT8_NUMBERS 5
#include "int8_form.glsl"

layout(constant_id = 1) const bool kAdd = false;
layout(constant_id = 2) const uint kForm = FORM_NONE;
layout(constant_id = 3) const bool kScattered = false;

layout(std430, binding = 0) buffer X {
  vec4 x[];
};
layout(std430, binding = 0) readonly buffer XValues {
  float x_values[];
};
layout(std430, binding = 1) readonly buffer Y {
  vec4 y[];
};
layout(std430, binding = 2) readonly buffer Weight {
  vec4 weight[];
};
layout(std430, binding = 3) buffer Out {
  vec4 result[];
};
layout(std430, binding = 3) writeonly buffer OutValues {
  float result_values[];
};

layout(push_constant) uniform Arguments {
  uint rows;
  uint groups;   // of a row
  uint columns;  // of a group
  uint stride;
  float inverse_count;
  float epsilon;
  uint x_offset;
  uint y_offset;
  uint weight_offset;
  uint result_offset;
  Int8Form form;
} args;

// Where the lane's first value of a block is, in floats from the tensor's first.
uint ScatteredPlace(uint row, uint block) {
  return row / args.groups * args.stride + row % args.groups * args.columns + block * 32 +
         OctetLane() * 4;
}

bool IsOfGroup(uint block, uint i) {
  return block * 32 + OctetLane() * 4 + i < args.columns;
}

uint VectorPlace(uint row, uint block) {
  return row * (args.stride >> 2) + block * 8 + OctetLane();
}

vec4 LoadX(uint row, uint block) {
  if (!kScattered) return x[args.x_offset + VectorPlace(row, block)];
  vec4 v = vec4(0.0);
  uint at = args.x_offset * 4 + ScatteredPlace(row, block);
  [[unroll]] for (uint i = 0; i < 4; i++)
    if (IsOfGroup(block, i)) v[i] = x_values[at + i];
  return v;
}

void StoreResult(uint row, uint block, vec4 v) {
  if (!kScattered) {
    result[args.result_offset + VectorPlace(row, block)] = v;
    return;
  }
  uint at = args.result_offset * 4 + ScatteredPlace(row, block);
  [[unroll]] for (uint i = 0; i < 4; i++)
    if (IsOfGroup(block, i)) result_values[at + i] = v[i];
}

// The row's sum of squares, after the addition where there is one.
float SumOfSquares(uint row, uint blocks) {
  precise float sum = 0.0;
  for (uint first = 0; first < blocks; first += 8) {
    uint end = min(blocks, first + 8);
    precise vec4 part = vec4(0.0);
    for (uint block = first; block < end; block++) {
      vec4 v = LoadX(row, block);
      if (kAdd) {
        precise vec4 added = v + y[args.y_offset + VectorPlace(row, block)];
        v = Snap4(added);
        x[args.x_offset + VectorPlace(row, block)] = v;
      }
      part = part + v * v;
    }
    sum = sum + OctetHalve32(part);
  }
  return sum;
}

void main() {
  uint row = OctetIndex();
  if (PastEnd(row, args.rows)) return;
  uint lane = OctetLane();
  uint blocks = (args.columns + 31) >> 5;
  precise float mean = SumOfSquares(row, blocks) * args.inverse_count + args.epsilon;
  float factor = ExactRsqrt(mean);
  for (uint first = 0; first < blocks; first += 8) {
    uint end = min(blocks, first + 8);
    uint largest = 0;
    for (uint block = first; block < end; block++) {
      precise vec4 scaled =
          (LoadX(row, block) * factor) * weight[args.weight_offset + block * 8 + lane];
      vec4 value = Snap4(scaled);
      StoreResult(row, block, value);
      if (kForm == FORM_PER_32) StoreBlock(args.form, row, block, value);
      if (kForm == FORM_PER_256) largest = max(largest, LargestBits(value));
    }
    if (kForm == FORM_PER_256) {
      float inverse = StoreChunkScale(args.form, row, first >> 3, largest);
      for (uint block = first; block < end; block++)
        StoreOfChunk(args.form, row, block, result[args.result_offset + VectorPlace(row, block)],
                     inverse);
    }
  }
}
