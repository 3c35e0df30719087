// Whether the control group that a process is in keeps it from giving way.
#pragma once

#include <optional>
#include <string>

namespace fallow {

// Control groups share the processors before processes do: a group gets its part of the machine
// though all in it is of the idle class, and an idle group (cpu.idle) below it changes nothing, for
// idle means idle beside its siblings. So what counts is the outermost group with a processor
// controller of its own, and only whoever manages the machine can make that one idle (systemd:
// CPUWeight=idle in a slice directly below the root).
//
// None if that group is idle or the process is in none. Else the group and its weight:
// "system.slice (cpu.weight 100)".
//
// `cgroups`: where the hierarchies are mounted; `process_folder`: the process in /proc.
std::optional<std::string> GroupThatDoesNotGiveWay(const std::string& cgroups,
                                                   const std::string& process_folder);

}  // namespace fallow
