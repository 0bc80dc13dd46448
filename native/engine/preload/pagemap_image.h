// The pagemap of a process in CRIU's images: which of its pages are in its file of pages, in that order, and which in the parent's.
#pragma once

#include <stdint.h>

#include "image_reader.h"

struct pagemap_entry {
  uint64_t start, end;
  /** In the parent images, and not here. */
  int inParent;
  /** drover's own field of parent images (memory_copy.cc): flags that the mapping was made with. CRIU passes over it. */
  int flags;
  /** Likewise: it is a private one of a file. */
  int ofFile;
};

/** Opens it and says which file the pages are in. 0: done. */
int openPagemap(int folder, int pid, struct image* image, uint32_t* pages);
/** 1: one, 0: the end, -1: not understood. */
int nextEntry(struct image* image, struct pagemap_entry* entry);
