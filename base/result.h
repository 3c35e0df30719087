// Errors as values. An answer "none" is std::optional; an operating error is Result; an impossible
// state is a CHECK.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace fallow {

// What the caller can do about it, in the field's canonical terms.
enum class ErrorCode {
  kInvalidArgument,  // the input is wrong whatever the state; the message names the place and the
                     // limit
  kNotFound,
  kAlreadyExists,
  kPermissionDenied,    // known caller, not allowed
  kUnauthenticated,     // unknown caller
  kResourceExhausted,   // a named limit or the disk is full; may work later or smaller
  kFailedPrecondition,  // right input at the wrong time
  kUnavailable,         // a peer cannot be reached now; try again
  kDeadlineExceeded,
  kCancelled,      // someone asked for it to stop
  kDataLoss,       // stored or received bytes are not what they must be
  kUnimplemented,  // this build or system cannot do it
  kInternal,       // a library or the system failed in a way we cannot name better
};

// The code's stable lower-case name, as used in JSON and logs: "invalid_argument".
std::string_view ErrorCodeName(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;  // one sentence for people; names the thing, the place and the way out

  bool operator==(const Error&) const = default;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

inline std::unexpected<Error> Fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

// The same error with `context` in front: "models/x.gguf: tensor 3: offset beyond the file".
std::unexpected<Error> Wrap(Error error, std::string_view context);

#define FALLOW_CONCAT_INNER(a, b) a##b
#define FALLOW_CONCAT(a, b) FALLOW_CONCAT_INNER(a, b)

// Returns the error of `expression` (a Result or Status) from the enclosing function, if it has
// one.
#define FALLOW_RETURN_IF_ERROR(expression)                             \
  do {                                                                 \
    if (auto fallow_status = (expression); !fallow_status.has_value()) \
      return std::unexpected(std::move(fallow_status).error());        \
  } while (false)

// FALLOW_ASSIGN_OR_RETURN(const auto file, Open(path));
#define FALLOW_ASSIGN_OR_RETURN(target, expression) \
  FALLOW_ASSIGN_OR_RETURN_INNER(FALLOW_CONCAT(fallow_result_, __LINE__), target, expression)
#define FALLOW_ASSIGN_OR_RETURN_INNER(result, target, expression)             \
  auto result = (expression);                                                 \
  if (!result.has_value()) return std::unexpected(std::move(result).error()); \
  target = *std::move(result)

}  // namespace fallow
