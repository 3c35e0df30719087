#include "platform/linux/bus_signal_source.h"

namespace fallow {

Result<std::unique_ptr<SessionSignalSource>> BusSignalSource::Open(Loop& loop, Options options) {
  std::unique_ptr<BusSignalSource> source(new BusSignalSource(loop, std::move(options)));
  const SessionSignal first = source->Read();
  if (!source->sign_.connected()) return Fail(ErrorCode::kUnavailable, first.detail);
  return source;
}

BusSignalSource::BusSignalSource(Loop& loop, Options options)
    : name_(std::move(options.name)),
      kind_(options.kind),
      good_for_(options.good_for),
      sign_(loop, options.bus, std::move(options.changes), std::move(options.ask)) {}

SessionSignal BusSignalSource::Read() {
  SessionSignal signal{
      .kind = kind_, .source = name_, .known = false, .active = false, .detail = {}};
  const auto now = std::chrono::steady_clock::now();
  if (ask_at_ && now >= *ask_at_) {
    ask_at_.reset();
    sign_.AskAnew();
  }
  auto sign = sign_.Get();
  if (!sign) {
    signal.detail = std::move(sign).error().message;
    return signal;
  }
  if (sign->tells_changes) {
    ask_at_.reset();
  } else if (!ask_at_) {
    ask_at_ = now + good_for_;
  }
  signal.known = true;
  signal.active = sign->active;
  signal.detail = std::move(sign->detail);
  return signal;
}

}  // namespace fallow
