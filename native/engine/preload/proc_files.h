// Files of /proc of which a dump reads hundreds, with more calls of the kernel than it takes to know what CRIU wants of them:
//
// - On which mount a file is that CRIU has opened by its name, each library of each process for one, it reads from /proc/self/fdinfo: five calls. statx(2)
//   says the same in one.
// - The description of a descriptor comes in one piece. CRIU asks twice more whether that was the end.
// - What has a name right in a directory of /proc are links that are meant to be followed.
#pragma once

#include <stddef.h>
#include <sys/types.h>

/** CRIU has opened this (fd < 0: tried to), by its name. */
void noteOpenedInProc(int folder, const char* path, int fd);
/** A process's directory, or the one of all of them. */
int isProcFolder(int fd);

/** A description of one of CRIU's own files; -1: it is to be opened as ever. */
int openDescription(int folder, const char* path);
/** How much of a description, or of mappings (smaps.h), there was to read, or 0 at the end of one; -1: it is to be read as ever. */
ssize_t readDescription(int fd, void* buffer, size_t length);
/** What a read gave. */
void noteReadInProc(int fd, ssize_t count, size_t length);

/** Nonzero: the descriptor is none of CRIU's, and stays open. */
int closeInProc(int fd);
