// Records are changed while a container stands still, so without a wait for the disk (exchange_file.h). Here they are waited for afterwards, and what
// was kept for a power cut until then goes. Later than the file systems' own habit (ext4 commits its journal every 5 s): then nothing is forced
// that others would have to wait for.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "container.h"
#include "error.h"

namespace drover {

class Engine;

class RecordSettler {
 public:
  explicit RecordSettler(Engine& engine) : engine_(engine) {}
  /** Its record has changed. Any thread. */
  void note(const std::string& container);

 private:
  void settleAll();

  Engine& engine_;
  std::mutex mutex_;
  /** Ids; a timer runs while there are any. */
  std::set<std::string> changed_;
};

/** Returns when its record is on the disk as it is now. */
Status settleRecord(Container& container);

}  // namespace drover
