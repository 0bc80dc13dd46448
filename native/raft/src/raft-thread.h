// One member of the cluster: libraft in its own thread with its own uv loop.
//
// Commands come in by a bounded queue and a uv_async; what happened goes out as events, in order, which the JavaScript side
// takes in batches. A busy JavaScript loop therefore never costs the leadership. Everything below "raft thread" is touched
// by that thread only. Crash-only: where libraft cannot go on, the process ends and rejoins after its restart.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "blob.h"
#include "handshake.h"
#include "libraft.h"
#include "state-history.h"
#include "transport.h"

struct RaftOptions {
  std::string directory;
  uint64_t id = 0;
  std::string address;
  std::vector<Member> members;
  Token token{};
  unsigned electionTimeoutMs = 0;
  unsigned heartbeatMs = 0;
  unsigned snapshotThreshold = 0;
  unsigned snapshotTrailing = 0;
};

struct Command {
  enum class Kind { propose, barrier, image, close };
  Kind kind;
  /** Sequence of a proposal or barrier, index of an image, 1 for a close that hands leadership over first. */
  uint64_t number = 0;
  Blob bytes{};
};

struct Event {
  enum class Kind { started, startFailed, entry, restore, status, refused, barrier, broken, closed };
  Kind kind;
  /** entry, restore: index. status: term. */
  uint64_t index = 0;
  /** entry: of the proposal when it is this node's, else 0. refused, barrier: of the request. */
  uint64_t sequence = 0;
  Blob bytes{};
  /** status: "leader", "follower" or "candidate". refused: "not-leader" or "lost". Others: what went wrong. */
  std::string text{};
  uint64_t leaderId = 0;
  std::string leaderAddress{};
};

/** Requests that libraft works on at once; what arrives beyond waits and shares the next batch. */
constexpr unsigned kMaxUnderWay = 64;

class RaftThread {
 public:
  RaftThread(RaftOptions options, std::function<void()> wake);
  ~RaftThread();
  void start();
  /** False when the queue is full or the member is closing. */
  bool submit(Command command);
  /** Up to `limit` events; `more` says whether others wait. */
  std::vector<Event> takeEvents(size_t limit, bool *more);
  void join();

 private:
  struct ApplyRequest;
  struct BarrierRequest;
  struct Observed {
    int state = RAFT_UNAVAILABLE;
    uint64_t term = 0;
    uint64_t leaderId = 0;
    bool confirmed = false;
    bool operator!=(const Observed &other) const {
      return state != other.state || term != other.term || leaderId != other.leaderId || confirmed != other.confirmed;
    }
  };

  // raft thread
  void run();
  std::string open();
  std::string bootstrap();
  void handleCommands();
  void submitRequests();
  void proposeBatch();
  void barrier(uint64_t sequence);
  void barrierDone(uint64_t sequence, uint64_t term, int status);
  void refuse(const std::vector<uint64_t> &sequences, const char *reason);
  void observe();
  void confirmLeadership();
  void beginClose(bool handOver);
  void closeRaft();
  void closeHandles();
  void emit(Event event);
  int apply(const raft_buffer *buffer);
  int snapshot(raft_buffer **buffers, unsigned *count);
  int restore(raft_buffer *buffer);

  const RaftOptions options_;
  const std::function<void()> wake_;
  const uint64_t proposer_;
  std::thread thread_;

  std::mutex mutex_;
  std::vector<Command> commands_;
  std::vector<Event> events_;
  bool accepting_ = false;

  uv_loop_t loop_;
  uv_async_t async_;
  uv_prepare_t prepare_;
  uv_timer_t handOver_;
  std::unique_ptr<Transport> transport_;
  raft_io io_{};
  raft_fsm fsm_{};
  struct raft raft_{};
  struct raft_transfer transfer_{};
  StateHistory history_;
  /** Proposals and barriers in order of arrival. */
  std::deque<Command> requests_;
  /** Requests that libraft has not answered yet. */
  unsigned underWay_ = 0;
  Observed observed_;
  bool ioOpen_ = false;
  bool raftOpen_ = false;
  bool started_ = false;
  bool closing_ = false;
  bool raftClosing_ = false;
};
