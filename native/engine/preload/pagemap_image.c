// See pagemap_image.h. Numbers are those of CRIU's images/pagemap.proto.

#define _GNU_SOURCE
#include "pagemap_image.h"

#include <stdio.h>

#include "staged_pages.h"

enum { fieldPages = 1, fieldStart = 1, fieldCount32 = 2, fieldInParent = 3, fieldFlags = 4, fieldCount = 5, fieldMapping = 100, fieldOfFile = 101 };
enum { flagParent = 1 };

int openPagemap(int folder, int pid, struct image* image, uint32_t* pages) {
  char name[64];
  snprintf(name, sizeof name, "pagemap-%d.img", pid);
  if (openImage(folder, name, image) != 0) return -1;
  struct image head, ignored;
  unsigned field;
  uint64_t value;
  int found = nextMessage(image, &head), known = 0;
  while (found == 1 && (found = nextField(&head, &field, &value, &ignored)) == 1)
    if (field == fieldPages) {
      *pages = (uint32_t)value;
      known = 1;
    }
  if (found == 0 && known) return 0;
  closeImage(image);
  return -1;
}

int nextEntry(struct image* image, struct pagemap_entry* entry) {
  struct image message, ignored;
  int found = nextMessage(image, &message);
  if (found != 1) return found;
  uint64_t value, count = 0;
  unsigned field;
  *entry = (struct pagemap_entry){0};
  while ((found = nextField(&message, &field, &value, &ignored)) == 1) {
    if (field == fieldStart) entry->start = value;
    // The wider one, where it is given, comes later.
    if (field == fieldCount32 || field == fieldCount) count = value;
    if (field == fieldInParent && value) entry->inParent = 1;
    if (field == fieldFlags && value & flagParent) entry->inParent = 1;
    if (field == fieldMapping) entry->flags = (int)value;
    if (field == fieldOfFile && value) entry->ofFile = 1;
  }
  if (found < 0 || count == 0 || count > UINT64_MAX / pageBytes / 2) return -1;
  entry->end = entry->start + count * pageBytes;
  return entry->end > entry->start ? 1 : -1;
}
