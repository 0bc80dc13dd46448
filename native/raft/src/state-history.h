// What a snapshot is made of without asking JavaScript: the newest image of the state machine and the entries since.
//
// libraft wants a snapshot at once, in its own thread, and its apply carries no index. So this class counts the entries
// itself (1, 2, 3 … over the whole life of the cluster, the same on every member), keeps those after the newest image, and
// writes {image index, image, entries since} when asked. Entries are dropped when a newer image arrives.
// Only the raft thread touches it.
#pragma once

#include <deque>
#include <string>

#include "blob.h"

class StateHistory {
 public:
  /** Counts a committed entry and keeps it; returns its index. */
  uint64_t append(Blob entry);

  /** Takes an image of the state after the entry at `index`; false when it is older than what is there or not yet counted. */
  bool takeImage(uint64_t index, Blob image);

  Bytes encode() const;

  /** Replaces all by an encoded snapshot; an empty string, or what is wrong with it. */
  std::string decode(const void *base, size_t length);

  uint64_t imageIndex() const { return imageIndex_; }
  uint64_t lastIndex() const { return imageIndex_ + entries_.size(); }
  const Blob &image() const { return image_; }
  const std::deque<Blob> &entries() const { return entries_; }

 private:
  uint64_t imageIndex_ = 0;
  Blob image_ = std::make_shared<const Bytes>();
  std::deque<Blob> entries_;
};
