// Models: what the coordinator has, and what it is to get.
#include <fmt/format.h>

#include <utility>

#include "cli/commands.h"
#include "cli/model_file.h"
#include "cli/model_text.h"
#include "cli/records.h"
#include "cli/reply_output.h"
#include "engine/model/card_json.h"

namespace fallow::cli {
namespace {

// A file's card in the shape of the coordinator's MODEL; what only the coordinator knows is absent.
Json LocalModelJson(const ModelFile& model) {
  return Json{{"id", model.name()},
              {"size_bytes", model.size_bytes()},
              {"card", Json::parse(engine::CardJson(model.report().card))}};
}

std::string ReasonCountText(std::size_t count) {
  return count == 1 ? "1 reason" : fmt::format("{} reasons", CountText(count));
}

// An upload's bar, under it the coordinator's check when all is sent.
std::function<void(std::uint64_t, std::uint64_t)> UploadBar(Console& console) {
  if (!console.has_status_line()) return nullptr;
  return [&console](std::uint64_t sent, std::uint64_t total) {
    const double fraction = total == 0 ? 0 : static_cast<double>(sent) / static_cast<double>(total);
    const std::string facts =
        sent == total
            ? fmt::format("{} sent; the coordinator checks it", BytesText(total))
            : fmt::format("{:3.0f}%  {} of {}", 100 * fraction, BytesText(sent), BytesText(total));
    console.ShowStatus(
        Shorten(Bar(fraction, 32, console.glyphs()) + "  " + facts, console.status_width()));
  };
}

// One for all reasons; a person gets them line by line before it.
Error RefusalOf(Session& session, const std::string& file, const std::vector<Error>& reasons) {
  std::string all;
  for (const Error& reason : reasons) {
    if (!session.as_json) session.console.Note(Printable(file + ": " + reason.message));
    all += (all.empty() ? "" : "; ") + reason.message;
  }
  return {reasons.front().code,
          session.as_json
              ? fmt::format("{}: {}", file, all)
              : fmt::format("{}: not uploaded, for the {} above", file,
                            reasons.size() == 1 ? "reason" : ReasonCountText(reasons.size()))};
}

// What `check` found out about one file.
struct Verdict {
  Json json;          // MODEL's fields where they are known, "file", "fits" and "refusals"
  std::string words;  // for people
  bool fits = false;
};

Verdict Check(const std::string& file) {
  Verdict verdict;
  verdict.json["file"] = file;
  std::vector<Error> refusals;
  const auto model = ModelFile::Open(file);
  if (model.has_value()) {
    refusals = model->report().refusals;
    verdict.json.update(LocalModelJson(*model));
    verdict.words = ModelFacts(ReadModel(verdict.json));
  } else {
    refusals.push_back(model.error());
  }
  verdict.fits = refusals.empty();
  verdict.json["fits"] = verdict.fits;
  verdict.json["refusals"] = Json::array();
  for (const Error& refusal : refusals) {
    verdict.json["refusals"].push_back(
        {{"code", ErrorCodeName(refusal.code)}, {"message", refusal.message}});
    verdict.words += Printable("refused: " + refusal.message) + "\n";
  }
  const std::string summary =
      verdict.fits ? "fits" : "refused, " + ReasonCountText(refusals.size());
  verdict.words = Printable(file + ": " + summary) + "\n" + verdict.words;
  return verdict;
}

}  // namespace

Result<ExitStatus> ListModels(Session session) {
  FALLOW_ASSIGN_OR_RETURN(const Json reply, session.api.Call({.path = "/api/models"}));
  if (PrintedAsJson(session, reply)) return kExitDone;
  Table table({{"MODEL"},
               {"ARCHITECTURE"},
               {"PARAMETERS", Align::kRight},
               {"CONTEXT", Align::kRight},
               {"WEIGHTS"},
               {"SIZE", Align::kRight},
               {"ADDED"}});
  const std::vector<Json> models = DataOf(reply);
  for (const Json& json : models) {
    const ModelRecord model = ReadModel(json);
    table.AddRow({model.id, model.architecture, ShortCountText(model.parameter_count),
                  CountText(model.context_length), model.weight_types, BytesText(model.size_bytes),
                  TimeText(model.created_at)});
  }
  if (models.empty()) {
    session.console.Note("no models yet: `fallow models add FILE.gguf` adds one");
  } else {
    session.console.Print(table.Render(session.console.table_width()));
  }
  return kExitDone;
}

Result<ExitStatus> ShowModel(Session session, const std::string& name) {
  FALLOW_ASSIGN_OR_RETURN(const Json reply, session.api.Call({.path = "/api/models"}));
  for (const Json& json : DataOf(reply)) {
    if (TextOf(json, "id") != name) continue;
    if (!PrintedAsJson(session, json)) session.console.Print(ModelFacts(ReadModel(json)));
    return kExitDone;
  }
  return Fail(ErrorCode::kNotFound,
              fmt::format("the coordinator has no model '{}'; `fallow models` lists them", name));
}

Result<ExitStatus> AddModel(Session session, const std::string& file, std::string name) {
  FALLOW_ASSIGN_OR_RETURN(const ModelFile model, ModelFile::Open(file));
  if (!model.report().refusals.empty()) {
    return std::unexpected(RefusalOf(session, file, model.report().refusals));
  }
  if (name.empty()) name = model.name();
  ApiCall call{.method = "PUT", .path = "/api/models/" + PathSegment(name)};
  if (model.part_count() == 1) {
    call.body_file = file;
  } else {
    call.body_pieces = model.pieces();
    session.console.Note(fmt::format("{} parts go as one file of {}", model.part_count(),
                                     BytesText(model.size_bytes())));
  }
  call.on_upload = UploadBar(session.console);
  auto reply = session.api.Call(std::move(call));
  if (!reply.has_value()) return Wrap(std::move(reply).error(), file);
  if (!PrintedAsJson(session, *reply)) session.console.Print(ModelFacts(ReadModel(*reply)));
  return kExitDone;
}

Result<ExitStatus> CheckModels(Console& console, bool as_json,
                               const std::vector<std::string>& files) {
  bool all_fit = true;
  bool is_first = true;
  for (const std::string& file : files) {
    const Verdict verdict = Check(file);
    all_fit = all_fit && verdict.fits;
    if (as_json) {
      console.Print(verdict.json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    } else {
      console.Print((is_first ? "" : "\n") + verdict.words);
    }
    is_first = false;
  }
  return all_fit ? kExitDone : kExitFailed;
}

Result<ExitStatus> RemoveModel(Session session, const std::string& name) {
  return Remove(session, "/api/models/" + PathSegment(name), name);
}

}  // namespace fallow::cli
