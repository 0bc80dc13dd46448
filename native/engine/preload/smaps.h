// What a dump reads of a process's mappings: the text of /proc/PID/smaps, which the engine may have read already (mapping_texts.h), and of each
// mapping what /proc/PID/map_files says. There CRIU asks for the mode of each mapping's link, and the kernel makes a name and an inode for the
// answer: seven hundred times for a Debian with systemd. Of a mapping without a file it is told that there is none, as smaps says; of a private one
// that follows another of the same file, what was said of that, from which CRIU takes its file anyway.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

/** The engine's list: it is mapped, and the descriptor closed. */
void takeMappingTexts(int fd);

/** CRIU has opened this, of the process with that number on the host (0: of none). */
void noteOpenedOfProcess(int pid, const char* path, int fd);
/** How much of smaps there was to read, 0 at its end; -1: it is to be read as ever. */
ssize_t readSmaps(int fd, void* buffer, size_t length);
/** CRIU closes it. */
void forgetSmaps(int fd);
