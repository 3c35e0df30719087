#include "engine/model/architecture.h"

namespace fallow::engine {

extern const Architecture kBert, kGemma, kGemma2, kGemma3, kLlama, kPhi3, kQwen2, kQwen3;

std::span<const Architecture* const> AllArchitectures() {
  static constexpr const Architecture* kAll[] = {&kBert,  &kGemma, &kGemma2, &kGemma3,
                                                 &kLlama, &kPhi3,  &kQwen2,  &kQwen3};
  return kAll;
}

const Architecture* FindArchitecture(std::string_view name) {
  for (const Architecture* architecture : AllArchitectures()) {
    if (architecture->name == name) return architecture;
  }
  return nullptr;
}

}  // namespace fallow::engine
