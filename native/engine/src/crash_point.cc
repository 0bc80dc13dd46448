// The injection switch of the crash tests. See crash_point.h.
#include "crash_point.h"

#include <signal.h>

#include <cstdlib>
#include <cstring>

namespace drover {

void crashPoint(const char* step) {
  static const char* const wanted = getenv("DROVER_CRASH_AT");
  if (wanted && strcmp(wanted, step) == 0) raise(SIGKILL);
}

}  // namespace drover
