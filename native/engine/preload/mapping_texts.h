// What /proc/PID/smaps of a container's processes says, read by the engine on a second processor from the moment in which they stand still:
// the kernel walks through all pages for it, 3 ms for 200 MB. CRIU, when it comes to a process that the engine has not begun with, reads
// by itself, and waits for one that is being read. The list is a memfd that the engine sends through the gate (gate.h). Included by both, in C and C++.
#pragma once

#include <stdint.h>

enum { mappingTextsMost = 1024, mappingTextsRoom = 64 << 20 };

/** Who takes a text first writes so (compare and exchange). Of `reading` it is always the engine, which then says `there` or `none` and wakes (futex). */
enum mapping_text_state { mappingTextFree, mappingTextReading, mappingTextThere, mappingTextNone };

struct mapping_text {
  /** On the host; 0: the end of the list. */
  int32_t pid;
  /** Of mapping_text_state. */
  uint32_t state;
  /** In the list's bytes. */
  uint64_t offset, length;
};

struct mapping_texts {
  struct mapping_text texts[mappingTextsMost];
};
