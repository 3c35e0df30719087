// Streaming an artifact as a reply's body, whole or in part, at the pace of its reader.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/artifacts/artifact_store.h"
#include "coordinator/http/server.h"
#include "platform/loop.h"

namespace fallow::api {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// 200 with the whole artifact. An artifact that turns out damaged cuts the connection.
void StreamArtifact(Loop& loop, std::unique_ptr<ArtifactReader> reader, HeaderList headers,
                    std::shared_ptr<http::Responder> responder);

// As above, and what `Range` and `If-Range` ask: 206 with one range, or 416 (RFC 9110, 14). The
// ETag is the digest.
void StreamArtifactRange(Loop& loop, std::unique_ptr<ArtifactReader> reader, const Digest& digest,
                         const http::RequestHead& head, HeaderList headers,
                         std::shared_ptr<http::Responder> responder);

}  // namespace fallow::api
