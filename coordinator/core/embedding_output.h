// What an embedding request's vectors look like: to its submitter, as OpenAI's list of embeddings,
// and to people, in short. Pure.
#pragma once

#include <string>

#include "coordinator/core/records.h"

namespace fallow {

// Appends OpenAI's list of embeddings, a JSON object. `result` has one vector for each input of
// `request`. A value is written with the fewest digits that stand for its fp32 alone.
void AppendEmbeddingList(const Job& job, const Request& request, const AttemptResult& result,
                         std::string& json);

// The head of it: how many vectors of which length, and of the first ones the norm and the first
// values (docs/PROTOCOL.md, REQUEST).
std::string EmbeddingPreviewJson(const Job& job, const AttemptResult& result);

}  // namespace fallow
