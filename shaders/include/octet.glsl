// An octet is eight neighbouring lanes of a subgroup that work on one tile and speak through
// shuffles alone: no shared memory, no barrier. A workgroup holds one octet or several, whatever
// the device's subgroups are, so results cannot depend on the workgroup's size.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

// Lanes of a workgroup: a multiple of the subgroup size.
layout(local_size_x_id = 0, local_size_y = 1, local_size_z = 1) in;

uint OctetLane() {
  return gl_SubgroupInvocationID & 7u;
}

// The octet's number within the dispatch's x axis. A workgroup of eight lanes is one octet: known
// when the pipeline is made, which keeps shuffles constant there.
uint OctetIndex() {
  if (gl_WorkGroupSize.x == 8u) return gl_WorkGroupID.x;
  uint in_workgroup = (gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID) >> 3;
  return gl_WorkGroupID.x * (gl_WorkGroupSize.x >> 3) + in_workgroup;
}

// Whether the octet has nothing to do. A grid has whole workgroups, so an octet that is one always
// has: known when the pipeline is made, which spares such devices a branch around everything.
bool PastEnd(uint index, uint count) {
  return gl_WorkGroupSize.x != 8u && index >= count;
}

// The subgroup lane of the octet's lane `i`.
uint OctetPeer(uint i) {
  return gl_WorkGroupSize.x == 8u ? i : (gl_SubgroupInvocationID & ~7u) + i;
}

uint OctetMaximum(uint x) {
  uint y = subgroupShuffleXor(x, 4u);
  x = y > x ? y : x;
  y = subgroupShuffleXor(x, 2u);
  x = y > x ? y : x;
  y = subgroupShuffleXor(x, 1u);
  return y > x ? y : x;
}

// The last three halvings of a vector sum, 4, 2, 1, over the lanes. Addition commutes, so every
// lane gets the same bits.
float OctetHalve(float x) {
  precise float a = x + subgroupShuffleXor(x, 4u);
  precise float b = a + subgroupShuffleXor(a, 2u);
  precise float c = b + subgroupShuffleXor(b, 1u);
  return c;
}

// The sum of 32 partial sums of which lane l holds numbers 4l … 4l+3: halvings 16, 8, 4 over the
// lanes, 2 and 1 inside.
float OctetHalve32(vec4 x) {
  precise vec4 a = x + subgroupShuffleXor(x, 4u);
  precise vec4 b = a + subgroupShuffleXor(a, 2u);
  precise vec4 c = b + subgroupShuffleXor(b, 1u);
  precise vec2 d = c.xy + c.zw;
  precise float e = d.x + d.y;
  return e;
}

vec4 Snap4(vec4 x) {
  return vec4(ExactSnap(x.x), ExactSnap(x.y), ExactSnap(x.z), ExactSnap(x.w));
}

// The largest magnitude of four values, as bits.
uint LargestBits(vec4 x) {
  uvec4 magnitude = floatBitsToUint(x) & 0x7FFFFFFFu;
  uint largest = magnitude.x;
  largest = magnitude.y > largest ? magnitude.y : largest;
  largest = magnitude.z > largest ? magnitude.z : largest;
  return magnitude.w > largest ? magnitude.w : largest;
}

ivec4 Quantise4(vec4 x, float inverse) {
  return ivec4(ExactQuant(x.x, inverse), ExactQuant(x.y, inverse), ExactQuant(x.z, inverse),
               ExactQuant(x.w, inverse));
}

// One int8 block of 32 values, four in each lane.
struct QuantisedLane {
  ivec4 values;
  float scale;  // the same in every lane
};

QuantisedLane QuantiseOctet(vec4 x) {
  QuantisedLane block;
  block.scale = ExactScale(OctetMaximum(LargestBits(x)));
  block.values = Quantise4(x, ExactInverse(block.scale));
  return block;
}

uint PackBytes(ivec4 v) {
  uvec4 u = uvec4(v) & 255u;
  return u.x | (u.y << 8) | (u.z << 16) | (u.w << 24);
}

ivec4 UnpackBytes(uint word) {
  return (ivec4(int(word)) << ivec4(24, 16, 8, 0)) >> 24;
}

uvec4 UnpackUnsignedBytes(uint word) {
  return (uvec4(word) >> uvec4(0, 8, 16, 24)) & 255u;
}
