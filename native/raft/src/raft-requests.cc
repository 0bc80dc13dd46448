// RaftThread: what JavaScript asks for, handed to libraft in batches and answered.

#include "die.h"
#include "entry-format.h"
#include "raft-thread.h"

namespace {

#ifdef RAFT_VERSION_NUMBER
/** libraft 0.22 leaves all but the first entry of a raft_apply lying until more traffic comes: one each, many at once. */
constexpr size_t kMaxBatch = 1;
#else
/** Entries in one raft_apply: libraft writes them to the disk in one go. */
constexpr size_t kMaxBatch = 256;
#endif
constexpr size_t kMaxBatchBytes = 1024 * 1024;

const char *refusal(int rc) { return rc == RAFT_NOTLEADER ? "not-leader" : "lost"; }

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
    buffers.push_back(encodeEntry(proposer_, proposal.number, *proposal.bytes));
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
