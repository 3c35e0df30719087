// A ModelLoad makes a Model of a GGUF file, and can be stopped meanwhile and go on where it was.
//
// To give back what was loaded takes as long as the system needs to take gigabytes: whoever is
// asked to stop says first that it has stopped, and may find the model half loaded when it goes on.
// Threading: one thread; stopped from others.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "engine/model/model.h"
#include "engine/model/model_file.h"
#include "engine/model/model_weights.h"
#include "engine/step_control.h"

namespace fallow::engine {

class ModelLoad {
 public:
  // `file` must outlive the load; `backend` the load and the model.
  ModelLoad(ByteView file, Backend& backend) : file_(file), backend_(backend) {}

  // kCancelled when it was stopped: what is loaded stays, and the next call goes on. Any other
  // error is final. Errors as Model::Load's.
  Result<std::unique_ptr<Model>> Run(const StepControl& control);

 private:
  Status Read(const StepControl& control);

  ByteView file_;
  Backend& backend_;
  std::unique_ptr<ModelFile> read_;  // null until all of it is read and found good
  ModelWeights weights_;
};

}  // namespace fallow::engine
