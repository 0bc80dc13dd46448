// A dump reads some fifty properties of the container's own cgroups, each from a file of its own, and a restore that finds these cgroups
// there, made by the destination's engine with its limits, does nothing with them. So CRIU is told that they have none. What
// the container made below them is dumped whole.
// So are the cgroups that containers of a host share in hierarchies of which the engine asks nothing of most; what is below these is other
// containers', and isn't walked through.
// Twice CRIU looks for cgroups below one: to stop what is in them, where it asks of each of some thirty files whether it is a directory, and for
// each process again in each hierarchy, to note them. It is shown directories alone, and walks through each but once.
#pragma once

/** Takes from the environment which cgroup it is: its path in each hierarchy. */
void findOwnCgroup(void);

int isOwnCgroupProperty(const char* path);

/** A descriptor for a hierarchy's root that is opened again; -1: it isn't one. */
int openHierarchyAgain(const char* path, int flags);
/** CRIU has opened (fd < 0: tried to open) this, which may be a hierarchy's root. */
void noteHierarchy(const char* path, int flags, int fd);
/** This descriptor is to be closed; nonzero: it is one that CRIU gets again, and stays open. */
int closeHierarchy(int fd);
