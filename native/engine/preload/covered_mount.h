// To pack a tmpfs that other mounts lie on, CRIU mounts it once more where none do: in a new directory of the container's own /tmp, which is
// on a disk, changes the container's files while they are compared, and waits for the disk's journal and a grace period of the kernel to take
// it away again. Here that mount is one without a place (open_tree(2), OPEN_TREE_CLONE), and the directory is never made.
#pragma once

/** mkdtemp(3): 1 if the pattern is that directory's; it has a name then, and only that. */
int nameCoveredMount(char* pattern);
/** mount(2): 1 if it was that one and is there. 0: not it, or it can't be had without a place, for which the directory then is there. */
int mountCovered(const char* source, const char* target, unsigned long flags);
/** open(2): a descriptor of its root; -1: not it. */
int openCovered(const char* path, int flags);
/** umount2(2) and rmdir(2) of it: 1 if there is nothing to be done. */
int isCoveredMount(const char* path);
