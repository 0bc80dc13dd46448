// The one place that includes libraft: 0.15 (Debian 12) and 0.22 (Debian 13) alike.
//
// Neither header declares extern "C". That of 0.22 checks its layouts by static_assert with types defined inside sizeof, which
// C has and C++ has not; the checks are the library's own and were made when it was built, so they are left out here.
#pragma once

#include <uv.h>

#include <cstdarg>
#include <cstddef>
#include <cstdio>

#define static_assert(...) struct libraft_layout
extern "C" {
#include <raft.h>
}
#undef static_assert
extern "C" {
#include <raft/uv.h>
}
