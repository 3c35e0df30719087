// Runs a StepProgram with a set of kernels on a pool of threads.
#pragma once

#include "engine/cpu/kernel_set.h"
#include "engine/cpu/step_program.h"
#include "engine/cpu/thread_pool.h"

namespace fallow::engine {

// kCancelled when it was stopped; what the step wrote is then undefined.
Status ExecuteStep(const StepProgram& program, const KernelSet& kernels, ThreadPool& pool,
                   const StepControl& control);

}  // namespace fallow::engine
