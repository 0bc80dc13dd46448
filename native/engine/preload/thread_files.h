// A file of a thread in /proc that a process has open (/proc/PID/task/TID/stat: top -H, a runtime that measures its threads) is not there
// yet when a restore opens it: threads are made last. It is opened as the same file of the thread that its process begins with.
#pragma once

typedef int (*OpenAt)(int folder, const char* path, int flags, int mode);

/** After ENOENT of `path`, below a root; -1 and ENOENT: it is no such file. */
int openOfFirstThread(OpenAt open, int folder, const char* path, int flags);
