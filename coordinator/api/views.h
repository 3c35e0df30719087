// The coordinator's records as JSON: OpenAI's shapes, and the admin API's beside them.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "coordinator/core/coordinator.h"
#include "coordinator/core/records.h"
#include "coordinator/http/server.h"

namespace fallow::api {

using Json = nlohmann::ordered_json;

// A device not heard of for so long is offline.
inline constexpr std::chrono::seconds kDeviceSilence{90};

std::string Dump(const Json& json);  // invalid UTF-8 is replaced, never thrown
http::Response JsonResponse(int status, const Json& json);

std::string_view PurposeName(FilePurpose purpose);
std::string_view RoleName(Role role);

Json FileJson(const File& file);
Json BatchJson(const Job& job);
Json ModelJson(const Model& model);  // OpenAI's

Json RequestJson(const JobService::RequestView& view);
Json ModelCardJson(const Model& model);
Json KeyJson(const ApiKey& key);
// `leases`: the live ones of this device.
Json DeviceJson(const Device& device, const std::vector<Lease>& leases, WallTime now);

}  // namespace fallow::api
