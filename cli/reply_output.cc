#include "cli/reply_output.h"

namespace fallow::cli {

bool PrintedAsJson(Session& session, const Json& reply) {
  if (!session.as_json) return false;
  session.console.Print(reply.dump() + "\n");
  return true;
}

Result<ExitStatus> Remove(Session& session, const std::string& path, const std::string& what) {
  FALLOW_RETURN_IF_ERROR(session.api.Call({.method = "DELETE", .path = path}));
  if (session.as_json) {
    session.console.Print(Json{{"removed", what}}.dump() + "\n");
  } else {
    session.console.Note("removed " + Printable(what));
  }
  return kExitDone;
}

}  // namespace fallow::cli
