// Runs a StepProgram with a set of kernels on a pool of threads.
#pragma once

#include "engine/cpu/kernel_set.h"
#include "engine/cpu/step_program.h"
#include "engine/cpu/thread_pool.h"

namespace fallow::engine {

// kCancelled when `stop` was seen; what the step wrote is then undefined.
Status ExecuteStep(const StepProgram& program, const KernelSet& kernels, ThreadPool& pool,
                   const StopFlag& stop);

}  // namespace fallow::engine
