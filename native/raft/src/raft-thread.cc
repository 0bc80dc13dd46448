#include "raft-thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <random>

#include "die.h"

namespace {

/** Commands that wait for the raft thread; TypeScript bounds the proposals well below this. */
constexpr size_t kMaxCommands = 16384;
/** How soon a broken connection to a member is tried again. libraft's own default, 1 s, would add to every restart. */
constexpr unsigned kReconnectMs = 100;

uint64_t randomNumber() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
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

RaftThread *owner(raft_fsm *fsm) { return static_cast<RaftThread *>(fsm->data); }

}  // namespace

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

