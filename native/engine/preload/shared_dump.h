// A dump passes over what processes share and what is as it was sent ahead: CRIU asks the kernel where such memory has holes, and is told
// that there are some. The engine says where (src/shared_comparison.h), and afterwards writes into CRIU's list of the pages that these are
// in the parent images. At the restore CRIU reads them from there, and doesn't look whether it could: here it ends if not.
#pragma once

/** CRIU opens this image: the pages of shared memory are next. */
void noteSharedImage(int folder, const char* name, int flags);
