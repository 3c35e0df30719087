// Plain values as JSON and back, by one list of fields for both ways.
//
// A record is a type with a function Fields(visit, record) that calls visit("name", field) for each
// field. A field that is zero, empty or absent is left out, and reads back as that. Reading throws
// nlohmann's exceptions on anything that writing does not make. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace fallow {

using Json = nlohmann::ordered_json;

template <class T, class Record>
concept Is = std::is_same_v<std::remove_const_t<T>, Record>;

// The names of an enumeration's values, in their order. Specialised for each.
template <class Enum>
std::span<const std::string_view> EnumNames();

[[noreturn]] inline void RefuseJson(const std::string& what) {
  throw Json::other_error::create(599, what, static_cast<const Json*>(nullptr));
}

template <class T>
struct Codec;

template <class T>
Json ToJson(const T& value) {
  return Codec<T>::Write(value);
}
template <class T>
T FromJson(const Json& json) {
  return Codec<T>::Read(json);
}

struct FieldWriter {
  Json& json;
  template <class T>
  void operator()(const char* name, const T& field) {
    if (field != T{}) json[name] = ToJson(field);
  }
};
struct FieldReader {
  const Json& json;
  template <class T>
  void operator()(const char* name, T& field) {
    const auto at = json.find(name);
    field = at == json.end() ? T{} : FromJson<T>(*at);
  }
};

// Records.
template <class T>
struct Codec {
  static Json Write(const T& value) {
    Json json = Json::object();
    FieldWriter writer{json};
    Fields(writer, value);
    return json;
  }
  static T Read(const Json& json) {
    if (!json.is_object()) RefuseJson("not an object");
    T value;
    FieldReader reader{json};
    Fields(reader, value);
    return value;
  }
};

template <class T>
requires std::is_same_v<T, bool> || std::is_same_v<T, std::string>
struct Codec<T> {
  static Json Write(const T& value) { return value; }
  static T Read(const Json& json) { return json.get<T>(); }
};

template <std::floating_point T>
struct Codec<T> {
  static Json Write(T value) { return value; }
  static T Read(const Json& json) {
    if (!json.is_number()) RefuseJson("not a number");
    return json.get<T>();
  }
};

template <std::integral T>
requires(!std::is_same_v<T, bool>) struct Codec<T> {
  static Json Write(T value) { return value; }
  static T Read(const Json& json) {
    if (json.is_number_unsigned() && std::in_range<T>(json.get<std::uint64_t>()))
      return json.get<T>();
    if (json.is_number_integer() && !json.is_number_unsigned() &&
        std::in_range<T>(json.get<std::int64_t>()))
      return json.get<T>();
    RefuseJson("not a whole number that fits");
  }
};

// Times further away than this are refused, so that no sum of a few overflows, in whatever unit.
inline constexpr std::chrono::hours kFarthestTime{24 * 366 * 10'000};

template <class T>
requires std::is_enum_v<T>
struct Codec<T> {
  static Json Write(T value) { return EnumNames<T>()[static_cast<std::size_t>(value)]; }
  static T Read(const Json& json) {
    const auto names = EnumNames<T>();
    const auto at = std::ranges::find(names, json.get<std::string>());
    if (at == names.end()) RefuseJson("unknown name");
    return static_cast<T>(at - names.begin());
  }
};

template <class Rep, class Period>
struct Codec<std::chrono::duration<Rep, Period>> {
  using T = std::chrono::duration<Rep, Period>;
  static Json Write(T value) { return value.count(); }
  static T Read(const Json& json) {
    const T value(FromJson<Rep>(json));
    if (value > kFarthestTime || value < -kFarthestTime) RefuseJson("a time that is too far away");
    return value;
  }
};
template <class Clock, class Duration>
struct Codec<std::chrono::time_point<Clock, Duration>> {
  using T = std::chrono::time_point<Clock, Duration>;
  static Json Write(T value) { return ToJson(value.time_since_epoch()); }
  static T Read(const Json& json) {
    // On the wall clock that means for ever.
    if (std::is_same_v<T, WallTime> && json == Write(T::max())) return T::max();
    return T(FromJson<Duration>(json));
  }
};

template <class T>
struct Codec<std::optional<T>> {
  static Json Write(const std::optional<T>& value) {
    return value ? ToJson(*value) : Json(nullptr);
  }
  static std::optional<T> Read(const Json& json) {
    return json.is_null() ? std::nullopt : std::optional(FromJson<T>(json));
  }
};
template <class T>
struct Codec<std::vector<T>> {
  static Json Write(const std::vector<T>& values) {
    Json json = Json::array();
    for (const T& value : values) json.push_back(ToJson(value));
    return json;
  }
  static std::vector<T> Read(const Json& json) {
    if (!json.is_array()) RefuseJson("not a list");
    std::vector<T> values;
    for (const Json& item : json) values.push_back(FromJson<T>(item));
    return values;
  }
};
template <class T, std::size_t kCount>
struct Codec<std::array<T, kCount>> {
  static Json Write(const std::array<T, kCount>& values) {
    return ToJson(std::vector<T>(values.begin(), values.end()));
  }
  static std::array<T, kCount> Read(const Json& json) {
    const auto list = FromJson<std::vector<T>>(json);
    if (list.size() != kCount) RefuseJson("a list of another length");
    std::array<T, kCount> values;
    std::ranges::copy(list, values.begin());
    return values;
  }
};
template <class Enum, class T>
struct Codec<std::map<Enum, T>> {
  static Json Write(const std::map<Enum, T>& values) {
    Json json = Json::object();
    for (const auto& [key, value] : values)
      json[ToJson(key).template get<std::string>()] = ToJson(value);
    return json;
  }
  static std::map<Enum, T> Read(const Json& json) {
    if (!json.is_object()) RefuseJson("not an object");
    std::map<Enum, T> values;
    for (const auto& [key, value] : json.items())
      values[FromJson<Enum>(Json(key))] = FromJson<T>(value);
    return values;
  }
};

}  // namespace fallow
