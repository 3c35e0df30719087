#include "agent/daemon/lease_channel.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "protocol/limits.h"

namespace fallow {
namespace {

using std::chrono::milliseconds;

// Of one report, unless one result is larger; far below kMaxAgentBodyBytes, since the sum is an
// estimate. A home's uplink takes seconds for it.
constexpr std::size_t kMaxReportBytes = 2 << 20;

std::size_t EstimateBytes(const AttemptResult& result) {
  std::size_t bytes =
      128 + result.text.size() + 5 * result.token_ids.size() + 34 * result.state_digests.size();
  for (const std::vector<float>& vector : result.embeddings)
    bytes += 8 + sizeof(float) * vector.size();
  return bytes;
}

}  // namespace

LeaseChannel::LeaseChannel(Loop& loop, const Clock& clock, Random& random,
                           CoordinatorClient& client, LeaseId lease, LeaseChannelOptions options,
                           Events events)
    : loop_(loop),
      clock_(clock),
      client_(client),
      lease_(std::move(lease)),
      options_(options),
      events_(std::move(events)),
      backoff_(random, options.first_retry, options.max_retry),
      last_heard_(clock.Steady()) {}

void LeaseChannel::Add(AttemptResult result) {
  if (ended_) return;
  queue_.push_back(std::move(result));
  Pump();
}

void LeaseChannel::Close(std::optional<std::string> release_reason) {
  if (closing_) return;
  closing_ = true;
  closing_since_ = clock_.Steady();
  release_reason_ = std::move(release_reason);
  if (backoff_.tries() == 0) timer_.reset();
  Pump();
}

void LeaseChannel::Pump() {
  if (in_flight_ || timer_ != nullptr || closed_) return;
  if (!queue_.empty()) {
    const SteadyTime now = clock_.Steady();
    const bool nothing_to_wait_for = closing_ || queue_.size() >= kMaxResultsPerReport;
    if (now >= next_report_at_ || nothing_to_wait_for) return SendReport();
    const auto wait = std::chrono::ceil<milliseconds>(next_report_at_ - now);
    timer_ = loop_.After(wait, [this] {
      timer_.reset();
      Pump();
    });
    return;
  }
  if (!closing_) return;
  if (release_reason_ && !ended_) return SendRelease();
  FinishClosing();
}

void LeaseChannel::SendReport() {
  ReportRequest report{.lease = lease_, .results = {}, .status = events_.status()};
  std::size_t bytes = 0;
  for (const AttemptResult& result : queue_) {
    bytes += EstimateBytes(result);
    const bool full = report.results.size() == kMaxResultsPerReport || bytes > kMaxReportBytes;
    if (full && !report.results.empty()) break;
    report.results.push_back(result);
  }
  sent_count_ = report.results.size();
  next_report_at_ = clock_.Steady() + options_.report_period;
  in_flight_ = true;
  call_ =
      client_.Report(report, [this](Result<ReportReply> reply) { OnReported(std::move(reply)); });
}

void LeaseChannel::OnReported(Result<ReportReply> reply) {
  in_flight_ = false;
  events_.on_contact(reply ? Status() : std::unexpected(reply.error()));
  if (!reply && IsTransient(reply.error())) {
    if (clock_.Steady() - last_heard_ > options_.result_patience) {
      LOG_WARN("agent: lease {}: giving up {} results, the coordinator was away too long",
               lease_.value, queue_.size());
      return End();
    }
    return RetryLater();
  }
  last_heard_ = clock_.Steady();
  backoff_.Reset();
  if (!reply) {
    LOG_WARN("agent: lease {}: report refused: {}", lease_.value, reply.error().message);
    return End();
  }
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(sent_count_));
  if (!reply->lease_live) return End();
  Pump();
}

void LeaseChannel::SendRelease() {
  in_flight_ = true;
  const ReleaseRequest release{
      .lease = lease_, .reason = *release_reason_, .status = events_.status()};
  call_ = client_.Release(release, [this](Status status) { OnReleased(std::move(status)); });
}

void LeaseChannel::OnReleased(Status status) {
  in_flight_ = false;
  events_.on_contact(status);
  const bool patient = clock_.Steady() - closing_since_ < options_.release_patience;
  if (!status && IsTransient(status.error()) && patient) return RetryLater();
  if (!status) LOG_WARN("agent: lease {}: not released: {}", lease_.value, status.error().message);
  FinishClosing();
}

void LeaseChannel::RetryLater() {
  timer_ = loop_.After(backoff_.Next(), [this] {
    timer_.reset();
    Pump();
  });
}

void LeaseChannel::End() {
  ended_ = true;
  queue_.clear();
  if (closing_) return FinishClosing();
  events_.on_ended();
}

void LeaseChannel::FinishClosing() {
  closed_ = true;
  events_.on_closed();
}

}  // namespace fallow
