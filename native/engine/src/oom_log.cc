// See oom_log.h.
#include "oom_log.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "process_text.h"
#include "unique_fd.h"

namespace drover {

namespace {

/** More records than a kernel's buffer has. */
constexpr int mostRecords = 200'000;

}  // namespace

std::string lastOomVictim(const std::string& cgroup) {
  UniqueFd log(open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!log.valid()) return "";
  std::string last;
  char record[8192];
  for (int read_ = 0; read_ < mostRecords; ++read_) {
    ssize_t count = read(log.get(), record, sizeof record);
    // EPIPE: that record was overwritten meanwhile; the next one is there.
    if (count < 0 && (errno == EPIPE || errno == EINTR)) continue;
    if (count <= 0) break;
    if (std::string victim = oomVictimIn(std::string(record, static_cast<size_t>(count)), cgroup); !victim.empty()) last = victim;
  }
  return last;
}

}  // namespace drover
