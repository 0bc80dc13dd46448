// See oom_log.h.
#include "oom_log.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "unique_fd.h"

namespace drover {

namespace {

/** More records than a kernel's buffer has. */
constexpr int mostRecords = 200'000;

std::string field(const std::string& line, const std::string& name) {
  size_t start = line.find("," + name + "=");
  if (start == std::string::npos) return "";
  start += name.size() + 2;
  return line.substr(start, line.find_first_of(",\n", start) - start);
}

}  // namespace

std::string oomVictimIn(const std::string& line, const std::string& cgroup) {
  if (line.find("oom-kill:") == std::string::npos) return "";
  std::string where = field(line, "oom_memcg");
  // The log has paths from the root of the hierarchy, which may lie above ours.
  return where.ends_with(cgroup) ? field(line, "task") : "";
}

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
