// A restored process gets the pages that were sent ahead (staged_pages.h) as its own: where CRIU maps a piece of private memory, to
// read it from the images afterwards, the staged pages are moved to (mremap), and what is then read from the parent images is there
// already. Each read is compared with what was moved; whatever does not match is read.
#pragma once

/** CRIU opens this image: a process's pagemap tells that its memory is next. */
void noteMemoryImage(int folder, const char* name, int flags);
