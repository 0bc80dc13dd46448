// The injection switch of the crash and fault tests. With DROVER_CRASH_AT=<operation>:<step> in its environment the engine kills itself, as
// if by kill -9, when it comes to that step. With DROVER_FAULT_DIRECTORY it stands still at a step that has a file of its name in there,
// until that file, which it renames to NAME.reached, is gone: a test then kills or stops what it likes. Nobody else sets these
// variables; then a point costs two comparisons. packages/engine/test/native-crashes.test.ts and cluster-tests/src/faults/points.ts
// name the steps; tests hold these lists and the calls against each other.
#pragma once

namespace drover {

void crashPoint(const char* step);

}  // namespace drover
