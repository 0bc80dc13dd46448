// CRIU tells the engine of each step of a restore and waits for its answer, two changes of process. Three of these steps the engine has no use
// for: they are answered here.
#pragma once

#include <sys/types.h>

/** CRIU has opened this image, relative to a directory. */
void noteImageOfNews(const char* path);
/** Whether this message at that socket needs no engine; its answer is then waiting. */
int needsNoEngine(int socket, const void* message, size_t length);
