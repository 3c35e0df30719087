#include "platform/linux/service_watch.h"

#include <set>
#include <utility>

namespace fallow {

using std::chrono::steady_clock;

ServiceWatch::ServiceWatch(Loop& loop, Bus::Which which, std::vector<Change> changes,
                           std::chrono::milliseconds retry)
    : loop_(loop), which_(which), changes_(std::move(changes)), retry_after_(retry) {}

ServiceWatch::~ServiceWatch() = default;

const Status& ServiceWatch::Refresh(const std::function<Status(Bus&)>& ask) {
  if (!changed_ || retry_ != nullptr) return status_;
  const auto now = steady_clock::now();
  status_ = Connect(now);
  if (status_) {
    const Bus::Together together(*bus_, now + kBusPatience);
    // Before the question: what changes after the answer marks it.
    changed_ = false;
    status_ = ask(*bus_);
  }
  // An absent service tells when it comes. A lost bus does not, nor one that hangs, or that has its
  // name and not yet its object.
  const bool tells_no_recovery =
      !status_ && (status_.error().code == ErrorCode::kDeadlineExceeded ||
                   status_.error().code == ErrorCode::kNotFound);
  if (bus_ == nullptr || tells_no_recovery) {
    changed_ = true;
    retry_ = loop_.After(retry_after_, [this] {
      const std::unique_ptr<Timer> ended = std::move(retry_);
      Tell();
    });
  }
  return status_;
}

Status ServiceWatch::Connect(steady_clock::time_point now) {
  if (bus_ != nullptr && !bus_->broken()) return {};
  subscriptions_.clear();
  bus_ = nullptr;
  if (opened_ && now - *opened_ < retry_after_) {
    return Fail(ErrorCode::kUnavailable, which_ == Bus::Which::kSession
                                             ? "the session bus ended the connection"
                                             : "the system bus ended the connection");
  }
  FALLOW_ASSIGN_OR_RETURN(bus_, Bus::Open(loop_, which_, now + kBusPatience));
  opened_ = now;
  bus_->OnBroken([this] { Changed(); });
  auto subscribed = Subscribe();
  if (!subscribed) bus_ = nullptr;
  return subscribed;
}

Status ServiceWatch::Subscribe() {
  std::set<std::string> services;
  for (const Change& change : changes_) {
    const auto changed = [this] { Changed(); };
    auto subscription = change.member.empty()
                            ? bus_->OnPropertiesChanged(change.object, changed)
                            : bus_->OnSignal(change.object, change.member.c_str(),
                                             [changed](sd_bus_message*) { changed(); });
    if (!subscription) return std::unexpected(std::move(subscription).error());
    subscriptions_.push_back(*std::move(subscription));
    if (!services.insert(change.object.service).second) continue;
    FALLOW_ASSIGN_OR_RETURN(auto owner, bus_->OnOwnerChanged(change.object.service, [this] {
      retry_ = nullptr;  // another one need not hang
      Changed();
    }));
    subscriptions_.push_back(std::move(owner));
  }
  return {};
}

void ServiceWatch::Changed() {
  changed_ = true;
  if (retry_ != nullptr || std::exchange(tell_posted_, true)) return;
  // From the loop, not from a signal's handler: whoever is told may ask, or end this watch.
  loop_.Post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    tell_posted_ = false;
    Tell();
  });
}

void ServiceWatch::Tell() {
  if (const auto tell = on_change_) tell();  // a copy: it may set another
}

}  // namespace fallow
