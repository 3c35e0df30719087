// Lies that a model's file may tell, each about one thing, and the words that refuse it. Tables by
// subject; engine_lying_files_test tells them all.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/engine/model_parts.h"

namespace fallow::engine {

struct Lie {
  std::string name;
  std::string expected;  // part of the error's message
  std::function<Bytes(ModelParts)> tell;
};

// A lie in the parts, after which the file is written as usual.
inline Lie In(std::string name, std::string expected, std::function<void(ModelParts&)> change) {
  return {std::move(name), std::move(expected), [change = std::move(change)](ModelParts parts) {
            change(parts);
            return parts.Write();
          }};
}

// A lie in the finished file's bytes.
inline Lie InBytes(std::string name, std::string expected, std::function<void(Bytes&)> change) {
  return {std::move(name), std::move(expected),
          [change = std::move(change)](const ModelParts& parts) {
            Bytes file = parts.Write();
            change(file);
            return file;
          }};
}

inline constexpr std::uint64_t kNearly2To64 = ~std::uint64_t{0} - 3;

std::vector<Lie> HeaderLies();
std::vector<Lie> KeyLies();
std::vector<Lie> TensorLies();
std::vector<Lie> ShapeLies();
std::vector<Lie> TextLies();
// What costs as much memory as it can: many entries, all of them there.
std::vector<Lie> LargeLies();

}  // namespace fallow::engine
