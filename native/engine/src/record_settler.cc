// See record_settler.h.
#include "record_settler.h"

#include <sys/stat.h>

#include "engine.h"
#include "exchange_file.h"
#include "log.h"
#include "record.h"

namespace drover {
namespace {

constexpr int64_t settleAfterMs = 10'000;
/** Its record may change while it is waited for. */
constexpr int mostTries = 16;

bool exists(const std::string& path) {
  struct stat status;
  return lstat(path.c_str(), &status) == 0;
}

}  // namespace

void RecordSettler::note(const std::string& container) {
  std::lock_guard lock(mutex_);
  bool first = changed_.empty();
  changed_.insert(container);
  if (!first) return;
  engine_.loop().post([this] { engine_.loop().after(settleAfterMs, [this] { engine_.later([this] { settleAll(); }); }); });
}

void RecordSettler::settleAll() {
  std::set<std::string> changed;
  {
    std::lock_guard lock(mutex_);
    changed.swap(changed_);
  }
  for (const auto& id : changed) {
    auto container = engine_.find(id);
    if (!container) continue;
    // What was kept stays: the next change of it brings it here again.
    if (Status settled = settleRecord(*container); !settled.ok()) logLine("warn", settled.error().message);
  }
}

Status settleRecord(Container& container) {
  const std::string path = recordPath(container.directory);
  for (int tries = 0; tries < mostTries; tries++) {
    auto synced = syncExchanged(path);
    std::lock_guard lock(container.mutex);
    if (container.deleted || !exists(path)) return {};
    if (!synced.ok()) return synced.error();
    if (dropKept(path, synced.value())) return {};
  }
  return engineError("sync " + path + ": it changed " + std::to_string(mostTries) + " times meanwhile");
}

}  // namespace drover
