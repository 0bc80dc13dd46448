// The capabilities that containers never get, not even inside their own user namespace.
#pragma once

namespace drover {

/** Drops them from the bounding set. For a forked child: async-signal-safe. 0 or an errno. */
int dropCapabilities();

}  // namespace drover
