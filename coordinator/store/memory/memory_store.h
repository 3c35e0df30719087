// A Store in memory, for tests and simulations: the same promises as the others, but for outliving
// the process.
#pragma once

#include <memory>

#include "coordinator/store/store.h"

namespace fallow {

std::unique_ptr<Store> NewMemoryStore();

}  // namespace fallow
