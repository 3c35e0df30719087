// How much a busy process slows down the owner's program, by how it gives way.
//
// The owner's program: THREADS threads, each with a fixed amount of work, in a session of its own.
// Its neighbour: as many threads that never stop, in another session, in one of five ways: not
// there, at normal priority, nice 19, in the idle class alone, by EnterBackground. The ways take
// turns in each round; a slowdown is the owner's time over that without a neighbour in the same
// round, and medians are shown.
//
//   fallow-bench-neighbour [ROUNDS [THREADS]]
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "platform/background.h"

namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr double kWorkMs = 400;  // of one thread of the owner's, undisturbed

struct Way {
  const char* name;
  const char* key;  // in the last line
  std::function<bool()> enter;
};

const std::vector<Way>& Ways() {
  static const std::vector<Way> ways = {
      {"no neighbour", "alone", nullptr},
      {"normal priority", "normal", [] { return ::setsid() >= 0; }},
      {"nice 19", "nice",
       [] { return ::setsid() >= 0 && ::setpriority(PRIO_PROCESS, 0, 19) == 0; }},
      {"idle class alone", "idle_class",
       [] {
         const sched_param none{};
         return ::setsid() >= 0 && ::sched_setscheduler(0, SCHED_IDLE, &none) == 0;
       }},
      {"EnterBackground", "background", [] { return fallow::EnterBackground().has_value(); }},
  };
  return ways;
}

std::uint64_t Work(std::uint64_t steps) {
  std::uint64_t state = steps | 1;
  for (std::uint64_t i = 0; i < steps; ++i)
    state = state * 6364136223846793005u + 1442695040888963407u;
  return state;
}

void Spin() {
  volatile std::uint64_t sink = 0;
  while (true) sink = sink + Work(1 << 16);
}

[[noreturn]] void Fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

// Runs `body` in a child; what it writes to the descriptor it is given is read by the parent.
struct Child {
  pid_t id = -1;
  int read_end = -1;

  static Child Start(const std::function<void(int)>& body) {
    std::array<int, 2> ends;
    if (::pipe(ends.data()) != 0) Fail("pipe");
    const pid_t id = ::fork();
    if (id < 0) Fail("fork");
    if (id == 0) {
      ::close(ends[0]);
      body(ends[1]);
      ::_exit(0);
    }
    ::close(ends[1]);
    return {id, ends[0]};
  }
  template <class T>
  T Receive() const {
    T value{};
    if (::read(read_end, &value, sizeof(value)) != sizeof(value)) Fail("a child gave no answer");
    return value;
  }
  void End() const {
    ::kill(id, SIGKILL);
    ::waitpid(id, nullptr, 0);
    ::close(read_end);
  }
};

template <class T>
void Send(int descriptor, const T& value) {
  if (::write(descriptor, &value, sizeof(value)) != sizeof(value)) ::_exit(1);
}

double OwnerMs(int threads, std::uint64_t steps) {
  const Child owner = Child::Start([&](int answer) {
    ::setsid();
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::jthread> running;
    std::atomic<std::uint64_t> sink = 0;
    for (int i = 0; i < threads; ++i) running.emplace_back([&] { sink += Work(steps); });
    running.clear();
    Send(answer, Milliseconds(std::chrono::steady_clock::now() - start).count());
  });
  const auto took = owner.Receive<double>();
  owner.End();
  return took;
}

double OwnerMsBeside(const Way& way, int threads, std::uint64_t steps) {
  if (way.enter == nullptr) return OwnerMs(threads, steps);
  const Child neighbour = Child::Start([&](int answer) {
    if (!way.enter()) Fail(way.name);
    std::vector<std::jthread> running;
    for (int i = 1; i < threads; ++i) running.emplace_back(Spin);
    Send(answer, char{1});
    Spin();
  });
  neighbour.Receive<char>();
  const double took = OwnerMs(threads, steps);
  neighbour.End();
  return took;
}

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// The quickest of some tries, for others may be at work.
std::uint64_t StepsFor(double milliseconds) {
  constexpr std::uint64_t kSteps = 20'000'000;
  double quickest = 1e9;
  for (int i = 0; i < 5; ++i) quickest = std::min(quickest, OwnerMs(1, kSteps));
  return static_cast<std::uint64_t>(kSteps * milliseconds / quickest);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 11;
  const int processors = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  const int threads = argc > 2 ? std::atoi(argv[2]) : processors;
  if (rounds < 1 || rounds > 1000 || threads < 1 || threads > 1024) {
    std::fprintf(stderr,
                 "usage: fallow-bench-neighbour [ROUNDS (1 to 1000) [THREADS (1 to 1024)]]\n");
    return 2;
  }
  const std::uint64_t steps = StepsFor(kWorkMs);
  const auto& ways = Ways();
  std::vector<std::vector<double>> times(ways.size());
  std::vector<std::vector<double>> slowdowns(ways.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t turn = 0; turn < ways.size(); ++turn) {
      const std::size_t i = (turn + static_cast<std::size_t>(round)) % ways.size();
      times[i].push_back(OwnerMsBeside(ways[i], threads, steps));
    }
    for (std::size_t i = 0; i < ways.size(); ++i) {
      slowdowns[i].push_back(times[i].back() / times[0].back());
    }
  }
  fmt::print("{} rounds, {} threads on {} processors\n", rounds, threads, processors);
  fmt::print("{:<18} {:>12} {:>10}\n", "neighbour", "owner's ms", "slowdown");
  std::string json = fmt::format("{{\"rounds\":{},\"threads\":{}", rounds, threads);
  for (std::size_t i = 0; i < ways.size(); ++i) {
    fmt::print("{:<18} {:>12.1f} {:>10.3f}\n", ways[i].name, Median(times[i]),
               Median(slowdowns[i]));
    json += fmt::format(",\"slowdown_{}\":{:.3f}", ways[i].key, Median(slowdowns[i]));
  }
  fmt::print("{}}}\n", json);
  return 0;
}
