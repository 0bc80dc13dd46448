// A small layer as another host's engine packed it.
#include "packed_layer.h"

#include <sys/stat.h>

#include "target.h"

using namespace drover;

namespace {

void run(std::string_view input) {
  auto entries = parsePackedLayer(input);
  if (!entries.ok()) return;
  must(entries.value().size() <= mostPackedEntries + 1, "the number of entries is bounded");
  std::string again = emptyPackedLayer();
  size_t number = 0;
  for (PackedEntry& entry : entries.value()) {
    must(("/" + entry.path + "/").find("/../") == std::string::npos && entry.path.front() != '/', "a path stays inside");
    must((entry.path == ".") == (number == 0), "the root comes first, and once");
    must(entry.head[PackedEntry::otherName] <= number, "another name comes after the first");
    must(entry.path.find('\0') == std::string::npos, "a path is one for the kernel, too");
    appendPackedEntry(again, entry);
    number++;
  }
  must(again == input, "a layer comes back from its own entries");
}

const Registered registered("packed-layer", run);

}  // namespace
