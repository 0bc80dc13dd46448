// A few threads for operations that block (starts, stops, deletes, checkpoints), with a bounded queue.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace drover {

class WorkerPool {
 public:
  WorkerPool(size_t threads, size_t bound);
  ~WorkerPool();
  /** False when the queue is full (and not `always`: for work that was accepted before). */
  bool submit(std::function<void()> job, bool always = false);

 private:
  void work();
  const size_t bound_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> jobs_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace drover
