#include "agent/daemon/ask_agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "agent/daemon/owner_calls.h"

namespace fallow {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Agents by their sockets; at any other nobody serves.
struct Machine {
  std::map<std::string, Result<std::string>> agents;
  std::vector<std::string> asked;

  Result<AgentAnswer> Ask(const AgentSockets& sockets = {.own = "own", .machine = "machine"}) {
    return AskAgent(
        sockets, SimpleCall("status"), [this](const std::string& socket, std::string_view call) {
          EXPECT_EQ(call, SimpleCall("status"));
          asked.push_back(socket);
          const auto at = agents.find(socket);
          if (at != agents.end()) return at->second;
          return Result<std::string>(Fail(ErrorCode::kUnavailable, "nobody serves at " + socket));
        });
  }
};

TEST(AskAgent, TheUsersOwnAgentComesFirst) {
  Machine machine{.agents = {{"own", "{\"a\":1}"}, {"machine", "{}"}}};
  const auto answer = machine.Ask();
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_EQ(answer->text, "{\"a\":1}");
  EXPECT_FALSE(answer->of_machine);
  EXPECT_THAT(machine.asked, ElementsAre("own"));
}

TEST(AskAgent, WhoRunsNoneMeansTheOneOfTheWholeMachine) {
  Machine machine{.agents = {{"machine", "{\"b\":2}"}}};
  const auto answer = machine.Ask();
  ASSERT_TRUE(answer.has_value()) << answer.error().message;
  EXPECT_EQ(answer->text, "{\"b\":2}");
  EXPECT_TRUE(answer->of_machine);
}

TEST(AskAgent, AnOwnStateFolderThatIsClosedToTheUserIsNoAgent) {
  Machine machine{.agents = {{"own", Fail(ErrorCode::kPermissionDenied, "cannot look into it")},
                             {"machine", "{}"}}};
  EXPECT_TRUE(machine.Ask().has_value());
}

TEST(AskAgent, WhereANamedOneIsMeantNoOtherIsAsked) {
  Machine machine{.agents = {{"machine", "{}"}}};
  const auto answer = machine.Ask({.own = "named", .machine = ""});
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(machine.asked, ElementsAre("named"));
}

TEST(AskAgent, NobodyAnywhereIsUnavailable) {
  Machine machine;
  EXPECT_EQ(machine.Ask().error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(machine.asked, ElementsAre("own", "machine"));
}

TEST(AskAgent, OneThatHangsIsNamedAndNotPassedOver) {
  for (const auto code : {ErrorCode::kDeadlineExceeded, ErrorCode::kResourceExhausted}) {
    Machine machine{.agents = {{"own", Fail(code, "own is silent")}, {"machine", "{}"}}};
    const auto answer = machine.Ask();
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code, code);
    EXPECT_THAT(answer.error().message, HasSubstr("an agent runs but does not answer: own is"));
    EXPECT_THAT(machine.asked, ElementsAre("own"));
  }
}

TEST(AskAgent, ARefusalIsTheAnswerInTheAgentsWords) {
  Machine machine{.agents = {{"machine", ErrorAnswer("only root may; use sudo")}}};
  const auto answer = machine.Ask();
  ASSERT_FALSE(answer.has_value());
  EXPECT_EQ(answer.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(answer.error().message, "only root may; use sudo");
}

}  // namespace
}  // namespace fallow
