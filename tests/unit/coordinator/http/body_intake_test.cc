#include "coordinator/http/body_intake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/coordinator/http/connection_fixture.h"

namespace fallow::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

using Verdict = BodyIntake::Verdict;

// Notes what it is given and when it goes.
struct NotingSink : BodySink {
  explicit NotingSink(std::string& into) : notes(into) {}
  ~NotingSink() override { notes += "."; }
  void OnData(ByteView bytes) override {
    notes += AsText(bytes);
    if (on_data) on_data();
  }
  void OnEnd() override { notes += "!"; }
  std::string& notes;
  std::function<void()> on_data;
};

TEST(BodyIntake, GivesPiecesAndTheEndToTheSink) {
  std::string notes;
  BodyIntake intake(10);
  EXPECT_EQ(intake.Begin(4, /*awaits_continue=*/false), Verdict::kGoOn);
  intake.SetSink(std::make_unique<NotingSink>(notes));
  EXPECT_EQ(intake.Take("ab"), Verdict::kGoOn);
  EXPECT_EQ(intake.Take("cd"), Verdict::kGoOn);
  EXPECT_EQ(intake.taken_bytes(), 4u);
  intake.End();
  EXPECT_EQ(notes, "abcd!.");
}

TEST(BodyIntake, RefusesALongBodyByItsLengthOrWhenItIsThere) {
  BodyIntake intake(4);
  EXPECT_EQ(intake.Begin(5, /*awaits_continue=*/false), Verdict::kTooLong);
  EXPECT_EQ(intake.Begin(std::nullopt, /*awaits_continue=*/false), Verdict::kGoOn);
  EXPECT_EQ(intake.Take("abcd"), Verdict::kGoOn);
  EXPECT_EQ(intake.Take("e"), Verdict::kTooLong);
}

// A handler may reply from anywhere, its own sink included.
TEST(BodyIntake, LetsGoOfTheSinkOfAnAnsweredRequestAtTheNextPiece) {
  std::string notes;
  BodyIntake intake(10);
  intake.Begin(6, /*awaits_continue=*/false);
  intake.SetSink(std::make_unique<NotingSink>(notes));
  intake.Answered();
  EXPECT_EQ(notes, "");
  intake.Take("ab");
  EXPECT_EQ(notes, ".");
}

TEST(BodyIntake, LetsGoOfASinkThatEndsTheRequestWhenItReturns) {
  for (const bool drop : {false, true}) {
    std::string notes;
    BodyIntake intake(10);
    intake.Begin(6, /*awaits_continue=*/false);
    auto sink = std::make_unique<NotingSink>(notes);
    sink->on_data = [&] {
      if (drop)
        intake.Drop();
      else
        intake.Answered();
      notes += "-";
    };
    intake.SetSink(std::move(sink));
    intake.Take("ab");
    EXPECT_EQ(notes, "ab-.");
    intake.Take("cd");
    EXPECT_EQ(notes, "ab-.");
  }
}

TEST(BodyIntake, GivesUpOnAnAnsweredBodyThatGoesOn) {
  BodyIntake intake(UINT64_MAX);
  intake.Begin(std::nullopt, /*awaits_continue=*/false);
  const std::string piece(kMaxDroppedBodyBytes / 2, 'x');
  EXPECT_EQ(intake.Take(piece), Verdict::kGoOn);
  EXPECT_EQ(intake.Take(piece), Verdict::kGoOn);
  EXPECT_EQ(intake.Take("x"), Verdict::kGoOn);  // the handler owes a reply, and may be waited for
  intake.Answered();
  EXPECT_EQ(intake.Take("x"), Verdict::kNotWorthReading);
}

TEST(BodyIntake, ReadsTheRestOfABodyUnlessItIsLongOrHeldBack) {
  BodyIntake intake(UINT64_MAX);
  intake.Begin(kMaxDroppedBodyBytes + 2, /*awaits_continue=*/false);
  EXPECT_FALSE(intake.is_rest_worth_reading());
  intake.Take("ab");
  EXPECT_TRUE(intake.is_rest_worth_reading());
  intake.Begin(2, /*awaits_continue=*/true);
  EXPECT_FALSE(intake.is_rest_worth_reading());
  intake.Continued();
  EXPECT_TRUE(intake.is_rest_worth_reading());
}

TEST(Connection, SendsContinueOnlyWhenTheHandlerWantsTheBody) {
  Fixture wants;
  EXPECT_EQ(
      wants.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
      "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_THAT(wants.Say("ok"), EndsWith("\r\n\r\nok"));

  Fixture refuses([](const RequestHead&, std::shared_ptr<Responder> responder) {
    responder->Send({.status = 401});
    return nullptr;
  });
  EXPECT_THAT(
      refuses.Say(
          "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"),
      AllOf(StartsWith("HTTP/1.1 401"), HasSubstr("connection: close")));
  EXPECT_TRUE(refuses.client_saw_end);
}

// A client that is told no while it still sends must get its answer, and may go on with its next
// request.
TEST(Connection, ReadsAndDropsTheBodyOfARefusedRequest) {
  Fixture f([](const RequestHead& head, std::shared_ptr<Responder> responder) {
    responder->Send({.status = head.method == "POST" ? 401 : 200});
    return nullptr;
  });
  EXPECT_THAT(f.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc"),
              StartsWith("HTTP/1.1 401"));
  EXPECT_THAT(f.Say("defGET / HTTP/1.1\r\nHost: h\r\n\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST(Connection, DropsTheSinkWhenTheClientLeavesMidBody) {
  Fixture f;
  f.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  f.client->Break();
  f.loop.RunPending();
  EXPECT_TRUE(f.closed);
  EXPECT_EQ(*f.bodies.at(0), "abc");
  EXPECT_EQ(f.received, "");
}

TEST(Connection, RefusesABodyBeyondItsLimit) {
  Fixture known(nullptr, {.body_bytes = 4});
  EXPECT_THAT(known.Say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  Fixture chunked(nullptr, {.body_bytes = 4});
  EXPECT_THAT(chunked.Say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                          "chunked\r\n\r\n3\r\nabc\r\n3\r\nabc\r\n"),
              StartsWith("HTTP/1.1 413"));
}

}  // namespace
}  // namespace fallow::http
