// A Shape bounds how many elements a protobuf message may hold, before it is parsed.
//
// The parser allocates an object for every two bytes of an empty repeated message, so a body within
// its byte limit could take a hundred times its size in memory. CheckShape walks the wire format
// first and allocates nothing.
#pragma once

#include <cstddef>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

namespace fallow::wire {

struct ShapeRule;
using Shape = std::span<const ShapeRule>;

// One length-delimited field of a message. A singular sub-message has max_count 1: the parser would
// merge repetitions, past the limits of their elements.
struct ShapeRule {
  int field_number = 0;
  const char* name = "";
  std::size_t max_count = 1;
  Shape nested = {};  // rules for the sub-message's own fields; empty for strings and bytes
};

// kInvalidArgument, naming the field and the limit, if `message` breaks a rule or is not in wire
// format. At most 8 rules a message; fields without a rule are free.
Status CheckShape(ByteView message, Shape shape);

}  // namespace fallow::wire
