// The planned sources, ready to be opened on a loop.
#pragma once

#include <vector>

#include "agent/session/source_plan.h"
#include "platform/loop.h"
#include "platform/presence.h"
#include "platform/session_signals.h"
#include "platform/source_set.h"

namespace fallow {

using PresenceSet = SourceSet<PresenceSource>;
using SignalSet = SourceSet<SessionSignalSource>;

// `loop` is a MainLoop that outlives what is opened.
std::vector<PresenceSet::Kind> PresenceKinds(Loop& loop, const LoginEnvironment& login,
                                             const SourcePlan& plan);
std::vector<SignalSet::Kind> SignalKinds(Loop& loop, const LoginEnvironment& login,
                                         const SourcePlan& plan);

}  // namespace fallow
