// Goes into the background and says what the kernel thinks of it then: one line a fact.
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "platform/background.h"

namespace {

std::string Read(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main() {
  const auto reached = fallow::EnterBackground();
  if (!reached) {
    std::fprintf(stderr, "%s\n", reached.error().message.c_str());
    return 1;
  }
  int of_thread = -1;
  std::thread([&] { of_thread = ::sched_getscheduler(0); }).join();
  std::printf("reached: %s\npolicy: %d\nthread's policy: %d\nleads its session: %d\noom: %s%s",
              reached->c_str(), ::sched_getscheduler(0), of_thread, ::getsid(0) == ::getpid(),
              Read("/proc/self/oom_score_adj").c_str(), Read("/proc/self/autogroup").c_str());
  return 0;
}
