// A dump reads some fifty properties of the container's own cgroups, each from a file of its own, and a restore that finds these cgroups
// there, made by the destination's engine with its limits, does nothing with them. So CRIU is told that they have none. What
// the container made below them is dumped whole.
#pragma once

/** Takes from the environment which cgroup it is: its path in each hierarchy. */
void findOwnCgroup(void);

int isOwnCgroupProperty(const char* path);
