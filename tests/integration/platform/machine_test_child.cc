// Goes into the background and says what the kernel thinks of it then: one line a fact. With an
// argument its autogroup is changed just before.
#include <sched.h>
#include <unistd.h>

#include <chrono>
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

// The autogroup in a hurry, or why there is none. The kernel grants a user one change in 100 ms,
// and entering the background was one.
std::string Hurried() {
  fallow::Status status;
  for (int tries = 0; tries < 100; ++tries) {
    status = fallow::SetHaste(::getpid(), fallow::Haste::kHurry);
    if (status || status.error().code != fallow::ErrorCode::kUnavailable) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return "hurried: " + (status ? Read("/proc/self/autogroup") : status.error().message + "\n");
}

}  // namespace

int main(int argc, char** argv) {
  // The kernel lets those who administer the machine change autogroups as often as they like.
  if (argc == 2 && ::geteuid() == 0) {
    ::execl("/usr/bin/setpriv", "setpriv", "--bounding-set", "-sys_admin", argv[0], argv[1], "once",
            nullptr);
    std::perror("setpriv");
    return 1;
  }
  if (argc > 1) {
    ::setsid();
    std::printf("before, %s", Hurried().c_str());
  }
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
  std::fputs(Hurried().c_str(), stdout);
  return 0;
}
