// A fuzz target: a parser of ours, what must hold of its results, and its name (that of its corpus folder and its dictionary).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

struct Target {
  std::string name;
  /** Ends the process by abort() or a sanitizer when something is wrong. */
  void (*run)(std::string_view input);
};

/** All, by name. */
const std::vector<Target>& targets();
const Target* findTarget(std::string_view name);

/** Put one of these into each file of targets/. */
struct Registered {
  Registered(std::string name, void (*run)(std::string_view));
};

/** What must hold. Aborts with the words. */
void must(bool holds, const char* what);
