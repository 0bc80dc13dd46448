// The injection switch of the crash tests: with DROVER_CRASH_AT=<operation>:<step> in its environment the engine kills itself, as
// if by kill -9, when it comes to that step. Nobody else sets the variable; then a point costs one comparison. The steps are
// named in packages/engine/test/native-crashes.test.ts, which holds that list and these calls against each other.
#pragma once

namespace drover {

void crashPoint(const char* step);

}  // namespace drover
