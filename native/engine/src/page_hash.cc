// See page_hash.h.
#include "page_hash.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <sys/random.h>

namespace drover {
namespace {

constexpr size_t words = pageBytes / sizeof(uint64_t);
using Key = std::array<uint64_t, words>;

Key drawKey() {
  Key key;
  char* bytes = reinterpret_cast<char*>(key.data());
  for (size_t done = 0; done < sizeof key;) {
    ssize_t count = getrandom(bytes + done, sizeof key - done, 0);
    // Without it nothing that is said of memory would be true.
    if (count < 0 && errno != EINTR) abort();
    if (count > 0) done += static_cast<size_t>(count);
  }
  return key;
}

}  // namespace

PageHash hashPage(const char* page) {
  static const Key key = drawKey();
  // Two sums: the processor then need not wait for one addition to begin the next.
  PageHash even = 0, odd = 0;
  uint64_t word[4];
  for (size_t at = 0; at < words; at += 4) {
    memcpy(word, page + at * sizeof(uint64_t), sizeof word);
    even += static_cast<PageHash>(word[0] + key[at]) * (word[1] + key[at + 1]);
    odd += static_cast<PageHash>(word[2] + key[at + 2]) * (word[3] + key[at + 3]);
  }
  return even + odd;
}

}  // namespace drover
