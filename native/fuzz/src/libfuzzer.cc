// drover-fuzz, driven by libFuzzer (https://llvm.org/docs/LibFuzzer.html): DROVER_FUZZ_TARGET says what is fuzzed, `--targets`
// prints the names. One program for all targets: the parsers are compiled once.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "target.h"

namespace {
const Target* chosen = nullptr;
}

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
  if (*count > 1 && strcmp((*arguments)[1], "--targets") == 0) {
    for (const auto& target : targets()) printf("%s\n", target.name.c_str());
    exit(0);
  }
  const char* name = getenv("DROVER_FUZZ_TARGET");
  chosen = findTarget(name ? name : "");
  if (chosen) return 0;
  fprintf(stderr, "DROVER_FUZZ_TARGET: `%s` is no target\n", name ? name : "");
  exit(2);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  chosen->run({reinterpret_cast<const char*>(data), size});
  return 0;
}
