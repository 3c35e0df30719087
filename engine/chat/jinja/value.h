// A Value is what a template computes with: Python's None, bool, int, float, str, list, tuple and
// dict, and Jinja's undefined, namespace, macro and loop.
//
// Texts, lists and dictionaries never change once made and hold only older values, so no value can
// hold itself; a namespace does change, but belongs to its rendering and is only pointed at.
// Nesting is bounded by kMaxValueDepth: recursion over values is safe. Copies share what they hold.
// Threading: values of one rendering belong to its thread; finished inputs may be shared.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "engine/chat/jinja/budget.h"
#include "engine/chat/jinja/text.h"

namespace fallow::engine::jinja {

class Mapping;
class Loop;
struct Callable;
struct Namespace;
struct Sequence;

// Stands for a name or member that is not there; `why` is the complaint of whoever uses it.
struct Undefined {
  std::shared_ptr<const std::string> why;
};
struct None {};

class Value {
 public:
  using Data =
      std::variant<Undefined, None, bool, std::int64_t, double, std::shared_ptr<const Text>,
                   std::shared_ptr<const Sequence>, std::shared_ptr<const Mapping>,
                   std::shared_ptr<const Callable>, std::shared_ptr<Loop>, Namespace*>;

  Value() : data_(Undefined{}) {}
  template <class T>
  requires std::is_constructible_v<Data, T> &&(!std::is_same_v<std::decay_t<T>, Value>)Value(T data)
      : data_(std::move(data)) {}  // NOLINT(google-explicit-constructor)

  static Value UndefinedBecause(std::string why);
  // Texts outside any rendering: the caller bounds them.
  static Value OfTemplate(std::string bytes) {
    return OfText(Text(std::move(bytes), Writer::kTemplate));
  }
  static Value OfMessage(std::string bytes) {
    return OfText(Text(std::move(bytes), Writer::kMessage));
  }
  static Value OfText(Text text) { return Value(std::make_shared<const Text>(std::move(text))); }

  const Data& data() const { return data_; }
  template <class T>
  bool Is() const {
    return std::holds_alternative<T>(data_);
  }
  bool IsUndefined() const { return Is<Undefined>(); }
  bool IsNone() const { return Is<None>(); }
  const bool* boolean() const { return std::get_if<bool>(&data_); }
  const double* real() const { return std::get_if<double>(&data_); }
  // Null if it is something else. The pointer lives as long as the value.
  const Text* text() const { return Shared<const Text>(); }
  const Sequence* sequence() const { return Shared<const Sequence>(); }
  const Mapping* mapping() const { return Shared<const Mapping>(); }
  const Callable* callable() const { return Shared<const Callable>(); }
  Loop* loop() const { return Shared<Loop>(); }
  Namespace* name_space() const {
    const auto* found = std::get_if<Namespace*>(&data_);
    return found == nullptr ? nullptr : *found;
  }
  // An integer's value, a boolean as 0 or 1.
  std::optional<std::int64_t> integer() const;

 private:
  template <class T>
  T* Shared() const {
    const auto* found = std::get_if<std::shared_ptr<T>>(&data_);
    return found == nullptr ? nullptr : found->get();
  }
  Data data_;
};

// What Python would call a sequence; they differ in what may be done with them.
enum class SequenceKind : std::uint8_t {
  kList,
  kTuple,
  kRange,
  kView,      // of a dictionary: counted, but neither indexed nor written
  kIterator,  // of a lazy filter: neither counted nor indexed, empty once read, always true
};

struct Sequence {
  SequenceKind kind = SequenceKind::kList;
  std::uint32_t depth = 1;
  std::vector<Value> items;
  mutable std::size_t taken = 0;  // of an iterator's items
};

// A dictionary with text keys that keeps their order.
class Mapping {
 public:
  using Entry = std::pair<Value, Value>;

  // A key that is there already gets a new value. `key` must be a text.
  void Set(const Value& key, Value value);
  const Value* Find(std::string_view key) const;  // null if absent
  const std::vector<Entry>& entries() const { return entries_; }
  std::size_t size() const { return entries_.size(); }
  std::uint32_t depth() const { return depth_; }

 private:
  std::vector<Entry> entries_;
  std::map<std::string_view, std::size_t> places_;  // the views are of the keys in entries_
  std::uint32_t depth_ = 1;
};

struct Namespace {
  std::map<std::string, Value, std::less<>> members;
};

// 1 + that of the deepest element; 0 of what holds none.
std::uint32_t DepthOf(const Value& value);

// Keeps kMaxNameBytes; `key` must be a text.
Status CheckKey(const Value& key);

// Makers for a rendering: they spend for what they make and keep the limits of limits.h.
Result<Value> MakeText(Text text, Budget& budget);
Result<Value> MakeSequence(std::vector<Value> items, SequenceKind kind, Budget& budget);
Result<Value> MakeMapping(Mapping mapping, Budget& budget);

// As Python names it: "str", "list", …
std::string_view TypeName(const Value& value);

// Fails with the value's own complaint if it is undefined.
Status RequireDefined(const Value& value);

bool IsTrue(const Value& value);
Result<bool> AreEqual(const Value& left, const Value& right, Budget& budget);
// Whether left < right: numbers, texts and lists with their own kind; else an error.
Result<bool> IsLess(const Value& left, const Value& right, Budget& budget);
// `needle in haystack`.
Result<bool> Contains(const Value& haystack, const Value& needle, Budget& budget);

// What a for statement would go over: elements, keys or characters. Reads an iterator to its end.
Result<std::vector<Value>> Elements(const Value& value, Budget& budget);
// len(): in characters for a text.
Result<std::int64_t> Length(const Value& value, Budget& budget);

}  // namespace fallow::engine::jinja
