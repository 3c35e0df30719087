// Goal: a chat template gives the text that its authors saw, which is what jinja2 gives.
// Method: the same cases go through ChatTemplate and, in one run of render_with_jinja2.py, through
// jinja2; texts must be equal, and what jinja2 refuses must be refused. Cases are small snippets,
// one for each feature of the language (language.json), and common families' templates with
// conversations (conversations.json). The templates belong to their publishers and are not in the
// repository: FALLOW_CHAT_TEMPLATES names a folder of *.jinja files.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/chat/chat_template.h"

namespace fallow::engine {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using jinja::Value;

const std::string kHere = std::string(FALLOW_SOURCE_DIR) + "/tests/templates/";

Json ReadJson(const std::string& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Everything from JSON is a message's.
Value ValueOf(const Json& json) {
  jinja::Budget budget;
  switch (json.type()) {
    case Json::value_t::boolean:
      return json.get<bool>();
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return json.get<std::int64_t>();
    case Json::value_t::number_float:
      return json.get<double>();
    case Json::value_t::string:
      return Value::OfMessage(json.get<std::string>());
    case Json::value_t::array: {
      std::vector<Value> items;
      for (const Json& item : json) items.push_back(ValueOf(item));
      return jinja::MakeSequence(std::move(items), jinja::SequenceKind::kList, budget).value();
    }
    case Json::value_t::object: {
      jinja::Mapping mapping;
      for (const auto& [key, value] : json.items())
        mapping.Set(Value::OfMessage(key), ValueOf(value));
      return jinja::MakeMapping(std::move(mapping), budget).value();
    }
    default:
      return jinja::None{};
  }
}

struct Case {
  std::string name;
  std::string source;
  Json variables = Json::object();
};

const Json kNow = {2025, 3, 9, 14, 5, 7};

// The variables that Hugging Face always passes are there unless a case has its own.
Json VariablesOf(const Case& test_case) {
  Json variables = {{"messages", Json::array()},
                    {"tools", nullptr},
                    {"documents", nullptr},
                    {"bos_token", "<bos>"},
                    {"eos_token", "</s>"}};
  variables["add_generation_prompt"] = true;
  variables.update(test_case.variables);
  return variables;
}

Result<std::vector<PromptPiece>> RenderHere(const Case& test_case) {
  auto parsed = ChatTemplate::Parse(test_case.source);
  if (!parsed.has_value()) return std::unexpected(parsed.error());
  const Json variables = VariablesOf(test_case);
  ChatInput input{.bos_token = variables["bos_token"], .eos_token = variables["eos_token"]};
  for (const auto& [name, value] : variables.items())
    if (!name.ends_with("_token")) input.variables[name] = ValueOf(value);
  input.now = {2025, 3, 9, 14, 5, 7};
  return parsed->Render(input);
}

std::string TextOf(const std::vector<PromptPiece>& pieces) {
  std::string text;
  for (const PromptPiece& piece : pieces) text += piece.text;
  return text;
}

// Removes its folder at the end.
class Folder {
 public:
  Folder() {
    std::string path = (fs::temp_directory_path() / "fallow-templates-XXXXXX").string();
    path_ = mkdtemp(path.data()) == nullptr ? "" : path;
  }
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// What jinja2 makes of the cases; none if it is not installed.
std::optional<Json> RenderWithJinja2(const std::vector<Case>& cases) {
  const Folder folder;
  Json list = Json::array();
  for (const Case& test_case : cases) {
    list.push_back(
        {{"template", test_case.source}, {"variables", VariablesOf(test_case)}, {"now", kNow}});
  }
  std::ofstream(folder.path() + "/cases") << list.dump();
  // Debian's own interpreter, for which Debian's package of jinja2 is.
  const std::string command = "/usr/bin/python3 '" + kHere + "render_with_jinja2.py' '" +
                              folder.path() + "/cases' '" + folder.path() + "/results'";
  const int status = std::system(command.c_str());
  if (WIFEXITED(status) && (WEXITSTATUS(status) == 3 || WEXITSTATUS(status) == 127))
    return std::nullopt;
  EXPECT_EQ(status, 0) << command;
  return status == 0 ? ReadJson(folder.path() + "/results") : Json::array();
}

void ExpectEqualToJinja2(const std::vector<Case>& cases) {
  const auto results = RenderWithJinja2(cases);
  if (!results.has_value()) GTEST_SKIP() << "python3-jinja2 is not installed";
  ASSERT_EQ(results->size(), cases.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(cases[i].name);
    const Json& wanted = (*results)[i];
    const auto rendered = RenderHere(cases[i]);
    if (wanted.contains("error")) {
      EXPECT_FALSE(rendered.has_value())
          << "jinja2 refuses: " << wanted["error"]
          << "\nbut here: " << TextOf(rendered.value_or(std::vector<PromptPiece>()));
      continue;
    }
    ASSERT_TRUE(wanted.contains("text"));
    if (!rendered.has_value()) {
      ADD_FAILURE() << rendered.error().message << "\njinja2: " << wanted["text"];
      continue;
    }
    EXPECT_EQ(TextOf(*rendered), wanted["text"].get<std::string>())
        << cases[i].source.substr(0, 2000);
  }
}

std::vector<Case> ConversationCases(const std::string& name, const std::string& source) {
  const Json tools = ReadJson(kHere + "tools.json");
  std::vector<Case> cases;
  for (const Json& conversation : ReadJson(kHere + "conversations.json")) {
    for (const bool opened : {true, false}) {
      Case test_case{.name = name + ": " + conversation["name"].get<std::string>() +
                             (opened ? "" : ", answer not opened"),
                     .source = source,
                     .variables = conversation};
      test_case.variables.erase("name");
      if (conversation.contains("tools")) test_case.variables["tools"] = tools;
      test_case.variables["add_generation_prompt"] = opened;
      cases.push_back(std::move(test_case));
    }
  }
  return cases;
}

// Name and source of each template; empty where there are none.
std::vector<std::pair<std::string, std::string>> FamilyTemplates() {
  const char* const named = std::getenv("FALLOW_CHAT_TEMPLATES");
  const fs::path folder =
      named != nullptr ? named : FALLOW_SOURCE_DIR "/../shared/peer/chat-templates";
  std::vector<std::pair<std::string, std::string>> templates;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".jinja")
      templates.emplace_back(entry.path().filename().string(), ReadFile(entry.path()));
  }
  std::ranges::sort(templates);
  return templates;
}

constexpr const char* kNoTemplates =
    "no templates: FALLOW_CHAT_TEMPLATES does not name a folder of *.jinja files";

TEST(ChatTemplates, SpeakTheLanguageAsJinja2Does) {
  std::vector<Case> cases;
  for (const Json& snippet : ReadJson(kHere + "language.json")) {
    cases.push_back(
        {snippet["name"], snippet["template"], snippet.value("variables", Json(Json::object()))});
  }
  ExpectEqualToJinja2(cases);
}

TEST(ChatTemplates, OfCommonFamiliesGiveTheTextThatJinja2Gives) {
  std::vector<Case> cases;
  for (const auto& [name, source] : FamilyTemplates())
    std::ranges::move(ConversationCases(name, source), std::back_inserter(cases));
  if (cases.empty()) GTEST_SKIP() << kNoTemplates;
  ExpectEqualToJinja2(cases);
}

// Moves every letter, digit and sign of a message into the private use area, where no template has
// any, so that whose a byte of the prompt is can be read off it.
Json Marked(const Json& json) {
  if (json.is_string()) {
    std::string marked;
    for (const char c : json.get<std::string>()) {
      const auto byte = static_cast<unsigned char>(c);
      marked += "\xEE";
      marked += static_cast<char>(0x80 + (byte >> 6));
      marked += static_cast<char>(0x80 + (byte & 0x3F));
    }
    return marked;
  }
  Json made = json;
  if (json.is_structured())
    for (auto& [key, value] : made.items())
      if (key != "role" && key != "type" && key != "id" && key != "tool_call_id")
        value = Marked(value);
  return made;
}

bool HoldsMark(std::string_view text) {
  return text.find('\xEE') != std::string_view::npos;
}

TEST(ChatTemplates, KnowWhichBytesAMessageWrote) {
  const auto templates = FamilyTemplates();
  if (templates.empty()) GTEST_SKIP() << kNoTemplates;
  std::size_t marked_pieces = 0;
  for (const auto& [name, source] : templates) {
    for (Case& test_case : ConversationCases(name, source)) {
      SCOPED_TRACE(test_case.name);
      test_case.variables["messages"] = Marked(test_case.variables["messages"]);
      if (test_case.variables.contains("tools"))
        test_case.variables["tools"] = Marked(test_case.variables["tools"]);
      const auto rendered = RenderHere(test_case);
      if (!rendered.has_value()) continue;  // the other test checks what is refused
      for (const PromptPiece& piece : *rendered) {
        if (piece.from_template) {
          EXPECT_FALSE(HoldsMark(piece.text)) << piece.text;
        }
        marked_pieces += !piece.from_template && HoldsMark(piece.text) ? 1 : 0;
      }
    }
  }
  EXPECT_GT(marked_pieces, templates.size() * 20);
}

}  // namespace
}  // namespace fallow::engine
