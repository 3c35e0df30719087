// A child's side of its pipes: raw standard input and output, and its bond to the parent. No event
// loop needed.
//
// Threading: one thread may read while another writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

namespace fallow {

// Ends this process (SIGKILL) when the thread that started it ends, from now on; at once kCancelled
// if that has happened already. Call first in main. kUnimplemented where the system cannot.
Status DieWithParent();

// Waits for at least one byte of standard input; 0 is its end.
Result<std::size_t> ReadStandardInput(std::span<std::uint8_t> buffer);
// Writes all of it. kUnavailable if the reader has gone.
Status WriteStandardOutput(ByteView bytes);

}  // namespace fallow
