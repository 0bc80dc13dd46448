// Memory that was sent ahead of a dump lies in pages before the container stands still: in this process's own, from where the restored
// processes, which are forked from it, get them without copying (premap.h). One area for each anonymous range of the parent images, with
// room on both sides, since mappings grow. The engine has this process sit in the container's memory cgroup meanwhile, so that the pages
// are charged to it. What can't be had here is read from the images, as ever.
//
// A fork copies an entry for each page, and whoever has them must let go of them again: 17 ms of processor time for 200 MB. So a process inherits
// only what is its own or a descendant's. CRIU gives each one its pid as it makes it (clone3), which is how it is known. One that comes
// to be in another way has nothing of this.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum { pageBytes = 4096 };

struct staged_range {
  /** The process's pid in the container, and what of it this is. */
  int pid;
  uint64_t start, end;
  /** MAP_NORESERVE, or 0: what its mapping was made with. */
  int flags;
  /** Where it begins in its file of pages, and which file that is. */
  uint32_t image;
  uint64_t place;
  dev_t device;
  ino_t inode;
  /** Where `start` is in this process; the area reaches `room` bytes beyond both ends. */
  char* copy;
  uint64_t room;
  /** Which of the blocks of a huge page's size that it reaches into have been made one, or can't be; null: none will be. */
  unsigned char* huge;
  /** Not there (any more) in this process. */
  int gone;
};

/** Reads part `number` of what was sent ahead, which `parent/laid-<number>` lists, below the directory of the images. 0: done; else nothing is staged any more. */
int stagePart(int images, uint32_t number);
/** The ranges; null when there are none. */
struct staged_range* stagedRanges(size_t* count);
/** Before the first process is restored: learns which ones there will be. */
void reviewStaged(int images);
/** clone3(2), by which CRIU makes a process: it inherits what is for it and for those that it will make. */
long makeProcess(long (*real)(long, ...), const void* arguments, long size);
