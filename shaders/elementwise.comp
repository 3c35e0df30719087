#version 450
// Operators on single values, with an int8 form of the result where that is wanted.
//
//   kOperation 0: x stays (kForm says what is made of it)
//   kOperation 1: x = snap(x + y)
//   kOperation 2: x = snap(silu(x) * y)
//   kOperation 3: x = snap(gelu(x) * y)
//   kOperation 4: x = snap(gelu_erf(x))
//   kOperation 5: x = snap(x * factor)
//   kOperation 6: x = snap(softcap(x)), factor the cap, inverse that of it
//   kForm:        x also as int8 per 32 or per 256 columns (include/int8_form.glsl)
//
// Bindings: 0 x, 1 y, 4 int8 words of x, 5 their numbers. Offsets in elements of the binding's
// type. y_stride 0 takes one row of y for all.
// Shape: an octet takes 256 columns (x axis) of one row (y axis); lane l columns 4l … 4l+3 of each
// 32. Per 256, the columns are whole chunks.
// Promise: every value depends on its own inputs alone, every int8 block on its own values.
#extension GL_GOOGLE_include_directive : require
#include "exact.glsl"
#include "octet.glsl"

#define INT8_WORDS 4
#define INT8_NUMBERS 5
#include "int8_form.glsl"

layout(constant_id = 1) const uint kOperation = 0;
layout(constant_id = 2) const uint kForm = FORM_NONE;

layout(std430, binding = 0) buffer X {
  vec4 x[];
};
layout(std430, binding = 1) readonly buffer Y {
  vec4 y[];
};

layout(push_constant) uniform Arguments {
  uint stride;
  uint y_stride;
  uint x_offset;
  uint y_offset;
  float factor;
  float inverse;
  Int8Form form;
} args;

vec4 Silu4(vec4 v) {
  return vec4(ExactSilu(v.x), ExactSilu(v.y), ExactSilu(v.z), ExactSilu(v.w));
}

vec4 Gelu4(vec4 v) {
  return vec4(ExactGelu(v.x), ExactGelu(v.y), ExactGelu(v.z), ExactGelu(v.w));
}

vec4 GeluErf4(vec4 v) {
  return vec4(ExactGeluErf(v.x), ExactGeluErf(v.y), ExactGeluErf(v.z), ExactGeluErf(v.w));
}

vec4 Softcap4(vec4 v, float cap, float inverse) {
  return vec4(ExactSoftcap(v.x, cap, inverse), ExactSoftcap(v.y, cap, inverse),
              ExactSoftcap(v.z, cap, inverse), ExactSoftcap(v.w, cap, inverse));
}

vec4 Operate(vec4 v, uint y_at) {
  precise vec4 value = v;
  if (kOperation == 1) value = v + y[y_at];
  if (kOperation == 2) value = Silu4(v) * y[y_at];
  if (kOperation == 3) value = Gelu4(v) * y[y_at];
  if (kOperation == 4) value = GeluErf4(v);
  if (kOperation == 5) value = v * args.factor;
  if (kOperation == 6) value = Softcap4(v, args.factor, args.inverse);
  return Snap4(value);
}

void main() {
  uint lane = OctetLane();
  uint row = gl_WorkGroupID.y;
  uint first = OctetIndex() * 8;
  uint blocks = args.stride >> 5;
  uint end = min(blocks, first + 8);
  if (first >= end) return;
  uint row_x = args.x_offset + row * (args.stride >> 2) + lane;
  uint row_y = args.y_offset + row * (args.y_stride >> 2) + lane;
  uint largest = 0;
  for (uint block = first; block < end; block++) {
    vec4 value = x[row_x + block * 8];
    if (kOperation != 0) {
      value = Operate(value, row_y + block * 8);
      x[row_x + block * 8] = value;
    }
    if (kForm == FORM_PER_32) StoreBlock(args.form, row, block, value);
    if (kForm == FORM_PER_256) largest = max(largest, LargestBits(value));
  }
  if (kForm == FORM_PER_256) {
    float inverse = StoreChunkScale(args.form, row, first >> 3, largest);
    for (uint block = first; block < end; block++)
      StoreOfChunk(args.form, row, block, x[row_x + block * 8], inverse);
  }
}
