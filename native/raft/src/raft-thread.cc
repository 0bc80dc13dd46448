#include "raft-thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

namespace {

/** Commands that wait for the raft thread; TypeScript bounds the proposals well below this. */
constexpr size_t kMaxCommands = 16384;
#ifdef RAFT_VERSION_NUMBER
/** libraft 0.22 leaves all but the first entry of a raft_apply lying until more traffic comes: one each, many at once. */
constexpr size_t kMaxBatch = 1;
#else
/** Entries in one raft_apply: libraft writes them to the disk in one go. */
constexpr size_t kMaxBatch = 256;
#endif
/** Requests that libraft works on at once; what arrives beyond waits and shares the next batch. */
constexpr unsigned kMaxUnderWay = 64;
constexpr size_t kMaxBatchBytes = 1024 * 1024;
/** How soon a broken connection to a member is tried again. libraft's own default, 1 s, would add to every restart. */
constexpr unsigned kReconnectMs = 100;
/** In front of each entry: who proposed it (random per life), that node's number for it, so that it knows its own, and the length. */
constexpr size_t kEntryHeader = 24;
/** libraft takes the length of an entry for a multiple of 8 (not documented): others shift what follows in its batch, so entries are padded. */
constexpr size_t kAlignment = 8;

void putNumber(uint8_t *at, uint64_t value) { std::memcpy(at, &value, sizeof value); }

uint64_t getNumber(const uint8_t *at) {
  uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

size_t padded(size_t length) { return (length + kAlignment - 1) / kAlignment * kAlignment; }

uint64_t randomNumber() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

[[noreturn]] void die(const char *what, const char *why) {
  std::fprintf(stderr, "drover raft: %s: %s\n", what, why);
  std::abort();
}

/** Ahead of the processes that fill the machine, so that heartbeats go out in time. Needs root; without it all works, less surely. */
constexpr int kNice = -10;

/** Signals are node's business: its handlers run in the main thread. */
void setUpThread() {
  pthread_setname_np(pthread_self(), "drover-raft");
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);
  sigset_t all;
  sigfillset(&all);
  for (int fatal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF}) sigdelset(&all, fatal);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

const char *refusal(int rc) { return rc == RAFT_NOTLEADER ? "not-leader" : "lost"; }

raft_buffer encodeEntry(uint64_t proposer, const Command &proposal) {
  raft_buffer buffer;
  buffer.len = kEntryHeader + padded(proposal.bytes->size());
  buffer.base = raft_calloc(1, buffer.len);
  if (!buffer.base) die("propose an entry", "out of memory");
  auto at = static_cast<uint8_t *>(buffer.base);
  putNumber(at, proposer);
  putNumber(at + 8, proposal.number);
  putNumber(at + 16, proposal.bytes->size());
  std::memcpy(at + kEntryHeader, proposal.bytes->data(), proposal.bytes->size());
  return buffer;
}

RaftThread *owner(raft_fsm *fsm) { return static_cast<RaftThread *>(fsm->data); }

}  // namespace

struct RaftThread::ApplyRequest {
  struct raft_apply request{};
  RaftThread *thread;
  std::vector<uint64_t> sequences;
};

struct RaftThread::BarrierRequest {
  struct raft_barrier request{};
  RaftThread *thread;
  /** 0: the barrier after an election. */
  uint64_t sequence;
  uint64_t term;
};

RaftThread::RaftThread(RaftOptions options, std::function<void()> wake)
    : options_(std::move(options)), wake_(std::move(wake)), proposer_(randomNumber()) {}

RaftThread::~RaftThread() { join(); }

void RaftThread::start() {
  uv_loop_init(&loop_);
  loop_.data = this;
  uv_async_init(&loop_, &async_, [](uv_async_t *async) { static_cast<RaftThread *>(async->data)->handleCommands(); });
  async_.data = this;
  accepting_ = true;
  thread_ = std::thread([this] { run(); });
}

bool RaftThread::submit(Command command) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!accepting_ || (commands_.size() >= kMaxCommands && command.kind != Command::Kind::close)) return false;
  commands_.push_back(std::move(command));
  uv_async_send(&async_);
  return true;
}

std::vector<Event> RaftThread::takeEvents(size_t limit, bool *more) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Event> taken;
  if (events_.size() <= limit) {
    taken.swap(events_);
  } else {
    auto end = events_.begin() + static_cast<std::ptrdiff_t>(limit);
    taken.assign(std::make_move_iterator(events_.begin()), std::make_move_iterator(end));
    events_.erase(events_.begin(), end);
  }
  *more = !events_.empty();
  return taken;
}

void RaftThread::join() {
  if (thread_.joinable()) thread_.join();
}

void RaftThread::run() {
  setUpThread();
  uv_prepare_init(&loop_, &prepare_);
  prepare_.data = this;
  uv_timer_init(&loop_, &handOver_);
  handOver_.data = this;
  transport_ = std::make_unique<Transport>(&loop_, Member{options_.id, options_.address}, options_.members, options_.token);
  const std::string failure = open();
  if (failure.empty()) {
    started_ = true;
    uv_prepare_start(&prepare_, [](uv_prepare_t *prepare) { static_cast<RaftThread *>(prepare->data)->observe(); });
    emit({Event::Kind::started});
  } else {
    Event event{Event::Kind::startFailed};
    event.text = failure;
    emit(std::move(event));
    beginClose(false);
  }
  uv_run(&loop_, UV_RUN_DEFAULT);
  const int rc = uv_loop_close(&loop_);
  if (rc != 0) die("close the loop", uv_strerror(rc));
  emit({Event::Kind::closed});
}

std::string RaftThread::open() {
  int rc = raft_uv_init(&io_, &loop_, options_.directory.c_str(), transport_->interface());
  if (rc != 0) return std::string("open ") + options_.directory + ": " + raft_strerror(rc);
  ioOpen_ = true;
  raft_uv_set_connect_retry_delay(&io_, kReconnectMs);

  fsm_.version = 1;
  fsm_.data = this;
  fsm_.apply = [](raft_fsm *fsm, const raft_buffer *buffer, void **result) {
    *result = nullptr;
    return owner(fsm)->apply(buffer);
  };
  fsm_.snapshot = [](raft_fsm *fsm, raft_buffer **buffers, unsigned *count) { return owner(fsm)->snapshot(buffers, count); };
  fsm_.restore = [](raft_fsm *fsm, raft_buffer *buffer) { return owner(fsm)->restore(buffer); };

  rc = raft_init(&raft_, &io_, &fsm_, options_.id, options_.address.c_str());
  if (rc != 0) return std::string("open the raft log in ") + options_.directory + ": " + raft_errmsg(&raft_);
  raftOpen_ = true;
  raft_.data = this;
  raft_set_election_timeout(&raft_, options_.electionTimeoutMs);
  raft_set_heartbeat_timeout(&raft_, options_.heartbeatMs);
  raft_set_snapshot_threshold(&raft_, options_.snapshotThreshold);
  raft_set_snapshot_trailing(&raft_, options_.snapshotTrailing);
  raft_set_pre_vote(&raft_, true);
#ifdef RAFT_VERSION_NUMBER
  raft_set_max_inflight_entries(&raft_, kMaxUnderWay);
#endif

  const std::string failure = bootstrap();
  if (!failure.empty()) return failure;
  rc = raft_start(&raft_);
  if (rc != 0) {
    const char *ours = transport_->interface()->errmsg, *theirs = raft_errmsg(&raft_);
    return std::string("start raft on ") + options_.address + ": " + (*ours ? ours : *theirs ? theirs : raft_strerror(rc));
  }
  return "";
}

/** On the first start every member writes the same first entry: all members as voters. Later starts find it there. */
std::string RaftThread::bootstrap() {
  raft_configuration configuration;
  raft_configuration_init(&configuration);
  int rc = 0;
  for (const Member &member : options_.members) {
    rc = raft_configuration_add(&configuration, member.id, member.address.c_str(), RAFT_VOTER);
    if (rc != 0) break;
  }
  if (rc == 0) rc = raft_bootstrap(&raft_, &configuration);
  raft_configuration_close(&configuration);
  if (rc == 0 || rc == RAFT_CANTBOOTSTRAP) return "";
  return std::string("bootstrap the raft log in ") + options_.directory + ": " + raft_strerror(rc);
}

void RaftThread::handleCommands() {
  std::vector<Command> commands;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    commands.swap(commands_);
  }
  for (Command &command : commands) {
    switch (command.kind) {
      case Command::Kind::propose:
      case Command::Kind::barrier:
        requests_.push_back(std::move(command));
        break;
      case Command::Kind::image:
        history_.takeImage(command.number, std::move(command.bytes));
        break;
      case Command::Kind::close:
        beginClose(command.number == 1);
    }
  }
  submitRequests();
}

void RaftThread::submitRequests() {
  while (!requests_.empty() && underWay_ < kMaxUnderWay) {
    if (requests_.front().kind == Command::Kind::barrier) {
      const uint64_t sequence = requests_.front().number;
      requests_.pop_front();
      barrier(sequence);
    } else {
      proposeBatch();
    }
  }
}

void RaftThread::proposeBatch() {
  auto batch = std::make_unique<ApplyRequest>();
  batch->thread = this;
  batch->request.data = batch.get();
  std::vector<raft_buffer> buffers;
  size_t bytes = 0;
  while (!requests_.empty() && requests_.front().kind == Command::Kind::propose && buffers.size() < kMaxBatch && bytes < kMaxBatchBytes) {
    const Command &proposal = requests_.front();
    buffers.push_back(encodeEntry(proposer_, proposal));
    batch->sequences.push_back(proposal.number);
    bytes += buffers.back().len;
    requests_.pop_front();
  }
  int rc = RAFT_NOTLEADER;
  if (observed_.confirmed && !closing_) {
    rc = raft_apply(&raft_, &batch->request, buffers.data(), static_cast<unsigned>(buffers.size()), [](struct raft_apply *request, int status, void *) {
      std::unique_ptr<ApplyRequest> batch(static_cast<ApplyRequest *>(request->data));
      batch->thread->underWay_ -= 1;
      if (status != 0) batch->thread->refuse(batch->sequences, "lost");
    });
  }
  if (rc == 0) {
    batch.release();
    underWay_ += 1;
    return;
  }
  for (raft_buffer &buffer : buffers) raft_free(buffer.base);
  refuse(batch->sequences, refusal(rc));
}

void RaftThread::barrier(uint64_t sequence) {
  auto barrier = std::make_unique<BarrierRequest>();
  barrier->thread = this;
  barrier->sequence = sequence;
  barrier->term = raft_.current_term;
  barrier->request.data = barrier.get();
  int rc = RAFT_NOTLEADER;
  // The barrier after an election is what confirms it, so only the others wait for that.
  if (!closing_ && (sequence == 0 || observed_.confirmed)) {
    rc = raft_barrier(&raft_, &barrier->request, [](struct raft_barrier *request, int status) {
      std::unique_ptr<BarrierRequest> barrier(static_cast<BarrierRequest *>(request->data));
      barrier->thread->barrierDone(barrier->sequence, barrier->term, status);
    });
  }
  if (rc == 0) {
    barrier.release();
    underWay_ += 1;
  } else if (sequence != 0) {
    refuse({sequence}, refusal(rc));
  } else if (rc != RAFT_NOTLEADER) {
    die("append the barrier after an election", raft_strerror(rc));
  }
}

void RaftThread::barrierDone(uint64_t sequence, uint64_t term, int status) {
  underWay_ -= 1;
  if (sequence == 0) {
    if (status == 0 && raft_state(&raft_) == RAFT_LEADER && raft_.current_term == term) confirmLeadership();
    return;
  }
  if (status != 0) return refuse({sequence}, "lost");
  Event event{Event::Kind::barrier};
  event.sequence = sequence;
  emit(std::move(event));
}

void RaftThread::refuse(const std::vector<uint64_t> &sequences, const char *reason) {
  for (uint64_t sequence : sequences) {
    Event event{Event::Kind::refused};
    event.sequence = sequence;
    event.text = reason;
    emit(std::move(event));
  }
}

/** Runs once per turn of the loop and tells what changed. libraft has no callback for it. */
void RaftThread::observe() {
  submitRequests();
  if (closing_) return;
  Observed now;
  now.state = static_cast<int>(raft_state(&raft_));
  now.term = raft_.current_term;
  if (now.state == RAFT_UNAVAILABLE) {
    Event event{Event::Kind::broken};
    event.text = raft_errmsg(&raft_);
    emit(std::move(event));
    return beginClose(false);
  }
  raft_id id = 0;
  const char *address = nullptr;
  raft_leader(&raft_, &id, &address);
  const bool elected = now.state == RAFT_LEADER && (observed_.state != RAFT_LEADER || observed_.term != now.term);
  now.confirmed = now.state == RAFT_LEADER && observed_.confirmed && !elected;
  now.leaderId = now.state == RAFT_LEADER && !now.confirmed ? 0 : id;
  if (!(now != observed_)) return;
  observed_ = now;
  Event event{Event::Kind::status};
  event.index = now.term;
  event.text = now.confirmed ? "leader" : now.state == RAFT_FOLLOWER ? "follower" : "candidate";
  event.leaderId = now.leaderId;
  if (now.leaderId != 0 && address) event.leaderAddress = address;
  emit(std::move(event));
  // libraft appends no entry of its own at an election: until one of the new term is committed, older ones may not be.
  if (elected) barrier(0);
}

void RaftThread::confirmLeadership() {
  if (closing_) return;
  observed_.confirmed = true;
  observed_.leaderId = options_.id;
  Event event{Event::Kind::status};
  event.index = observed_.term;
  event.text = "leader";
  event.leaderId = options_.id;
  event.leaderAddress = options_.address;
  emit(std::move(event));
}

void RaftThread::beginClose(bool handOver) {
  if (closing_) {
    // A second close is the impatient one (the process ends): don't wait for the hand-over.
    return handOver ? void() : closeRaft();
  }
  closing_ = true;
  transfer_.data = this;
  if (handOver && started_ && raft_state(&raft_) == RAFT_LEADER) {
    // When no follower can take over, libraft 0.15 gives up after an election timeout; 0.22 never does.
    uv_timer_start(&handOver_, [](uv_timer_t *timer) { static_cast<RaftThread *>(timer->data)->closeRaft(); }, 2 * options_.electionTimeoutMs, 0);
    const int rc = raft_transfer(&raft_, &transfer_, 0, [](struct raft_transfer *transfer) { static_cast<RaftThread *>(transfer->data)->closeRaft(); });
    if (rc == 0) return;
  }
  closeRaft();
}

void RaftThread::closeRaft() {
  if (raftClosing_) return;
  raftClosing_ = true;
  uv_timer_stop(&handOver_);
  if (raftOpen_) {
    raft_close(&raft_, [](struct raft *raft) {
      auto self = static_cast<RaftThread *>(raft->data);
      raft_uv_close(&self->io_);
      self->closeHandles();
    });
    return;
  }
  // libraft never took the transport over, so it is ours to close.
  if (ioOpen_) raft_uv_close(&io_);
  transport_->interface()->data = this;
  transport_->close([](raft_uv_transport *interface) { static_cast<RaftThread *>(interface->data)->closeHandles(); });
}

void RaftThread::closeHandles() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    accepting_ = false;
  }
  uv_close(reinterpret_cast<uv_handle_t *>(&async_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t *>(&prepare_), nullptr);
  uv_close(reinterpret_cast<uv_handle_t *>(&handOver_), nullptr);
}

void RaftThread::emit(Event event) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    events_.push_back(std::move(event));
  }
  wake_();
}

int RaftThread::apply(const raft_buffer *buffer) {
  if (buffer->len < kEntryHeader) die("apply an entry", "it is shorter than its header");
  auto at = static_cast<const uint8_t *>(buffer->base);
  const uint64_t length = getNumber(at + 16);
  if (length > buffer->len - kEntryHeader) die("apply an entry", "it is shorter than its header says");
  Event event{Event::Kind::entry};
  event.bytes = makeBlob(at + kEntryHeader, length);
  event.sequence = getNumber(at) == proposer_ ? getNumber(at + 8) : 0;
  event.index = history_.append(event.bytes);
  emit(std::move(event));
  return 0;
}

int RaftThread::snapshot(raft_buffer **buffers, unsigned *count) {
  Bytes encoded = history_.encode();
  encoded.resize(padded(encoded.size()));
  *buffers = static_cast<raft_buffer *>(raft_malloc(sizeof(raft_buffer)));
  if (!*buffers) return RAFT_NOMEM;
  (*buffers)[0].len = encoded.size();
  (*buffers)[0].base = raft_malloc(encoded.size());
  if (!(*buffers)[0].base) {
    raft_free(*buffers);
    return RAFT_NOMEM;
  }
  std::memcpy((*buffers)[0].base, encoded.data(), encoded.size());
  *count = 1;
  return 0;
}

int RaftThread::restore(raft_buffer *buffer) {
  const std::string wrong = history_.decode(buffer->base, buffer->len);
  if (!wrong.empty()) die("restore a snapshot", wrong.c_str());
  raft_free(buffer->base);
  Event event{Event::Kind::restore};
  event.index = history_.imageIndex();
  event.bytes = history_.image();
  emit(std::move(event));
  uint64_t index = history_.imageIndex();
  for (const Blob &entry : history_.entries()) {
    Event following{Event::Kind::entry};
    following.index = ++index;
    following.bytes = entry;
    emit(std::move(following));
  }
  return 0;
}
