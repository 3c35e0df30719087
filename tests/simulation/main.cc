// fallow-sim: runs seeds one after another and stops at the first that breaks a rule.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/log.h"
#include "tests/simulation/fleet_simulation.h"

int main(int argc, char** argv) {
  using namespace fallow::simulation;
  SimulationOptions options;
  std::uint64_t seeds = 1;
  CLI::App app("Runs the coordinator's core under a simulated fleet in trouble.", "fallow-sim");
  app.add_option("--seed", options.seed, "The first seed")->capture_default_str();
  app.add_option("--seeds", seeds, "How many seeds, one after another")->capture_default_str();
  app.add_option("--devices", options.device_count)
      ->check(CLI::Range(1, 200))
      ->capture_default_str();
  app.add_option("--jobs", options.job_count)->check(CLI::Range(1, 200))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (!fallow::SetUpLog("fallow-sim", "off").has_value()) return 1;

  fmt::print("{:>8} {:>9} {:>9} {:>7} {:>8} {:>6} {:>7} {:>7} {:>8} {:>9} {:>5} {:>9}\n", "seed",
             "minutes", "requests", "leases", "reports", "lost", "owners", "deaths", "outages",
             "restarts", "full", "cancelled");
  for (const std::uint64_t end = options.seed + seeds; options.seed != end; ++options.seed) {
    const SimulationReport report = Simulate(options);
    fmt::print("{:>8} {:>9} {:>9} {:>7} {:>8} {:>6} {:>7} {:>7} {:>8} {:>9} {:>5} {:>9}\n",
               options.seed, report.simulated.count() / 60, report.requests, report.leases,
               report.reports, report.lost_replies, report.owner_returns, report.deaths,
               report.outages, report.restarts, report.full_disks, report.cancelled_jobs);
    std::fflush(stdout);
    for (const std::string& violation : report.violations)
      fmt::print("broken rule, {}\n", violation);
    if (!report.violations.empty()) {
      fmt::print("again: fallow-sim --seed {} --devices {} --jobs {}\n", options.seed,
                 options.device_count, options.job_count);
      return 1;
    }
  }
  fmt::print("no rule was broken\n");
}
