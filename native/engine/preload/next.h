// The function that one of ours stands before. Looked for once: the search goes through all of CRIU's libraries, and some of these
// functions are called hundreds of times in a blackout.
#pragma once

#include <dlfcn.h>
#include <stddef.h>

static inline void* nextOf(void** kept, const char* name) {
  if (!*kept) *kept = dlsym(RTLD_NEXT, name);
  return *kept;
}

/** `int (*real)(int) = NEXT("close");` in the function of that name. */
#define NEXT(name)              \
  __extension__({               \
    static void* kept_;         \
    nextOf(&kept_, name);       \
  })
