// RaftThread: the state machine that libraft sees. It counts and keeps the entries, and passes them on; it never waits.

#include <cstring>

#include "die.h"
#include "entry-format.h"
#include "raft-thread.h"

int RaftThread::apply(const raft_buffer *buffer) {
  DecodedEntry entry = decodeEntry(*buffer);
  Event event{Event::Kind::entry};
  event.bytes = entry.bytes;
  event.sequence = entry.proposer == proposer_ ? entry.sequence : 0;
  event.index = history_.append(std::move(entry.bytes));
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
