// The prelude of every exact kernel: float controls and the contract's functions (exact.inc).
//
// SignedZeroInfNanPreserve is declared here; RoundingModeRTE is added when a module is loaded on a
// device that offers it (shaders/spirv_module.h).
#extension GL_EXT_spirv_intrinsics : require
#extension GL_EXT_control_flow_attributes : require

spirv_execution_mode(capabilities = [4466], 4461, 32);  // SignedZeroInfNanPreserve, 32 bits

#define EXACT_FN
#define EXACT_BITS(x) floatBitsToUint(x)
#define EXACT_FROM(u) uintBitsToFloat(u)
#include "exact.inc"
