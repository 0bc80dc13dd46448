// See target.h.
#include "target.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace {
std::vector<Target>& all() {
  static std::vector<Target> list;
  return list;
}
}  // namespace

const std::vector<Target>& targets() {
  std::sort(all().begin(), all().end(), [](const Target& a, const Target& b) { return a.name < b.name; });
  return all();
}

const Target* findTarget(std::string_view name) {
  for (const auto& target : all())
    if (target.name == name) return &target;
  return nullptr;
}

Registered::Registered(std::string name, void (*run)(std::string_view)) { all().push_back({std::move(name), run}); }

void must(bool holds, const char* what) {
  if (holds) return;
  fprintf(stderr, "does not hold: %s\n", what);
  abort();
}
