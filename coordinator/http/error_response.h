// The one shape of a refused call, OpenAI's: {"error": {"message", "type", "param", "code"}}, all
// four keys.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "coordinator/http/server.h"

namespace fallow::http {

struct ErrorBody {
  int status = 500;
  std::string message;
  std::string type;   // empty: by the status
  std::string param;  // empty: null
  std::string code;   // empty: null
};
Response ErrorResponse(const ErrorBody& error);

// The response that a service's error calls for. Errors that are not the caller's say little and
// are logged.
Response ErrorResponse(const Error& error);

}  // namespace fallow::http
