// See image_reader.h.

#define _GNU_SOURCE
#include "image_reader.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { magicBytes = 8 };

int openImage(int folder, const char* name, struct image* image) {
  struct stat info;
  int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return -1;
  void* bytes = MAP_FAILED;
  if (fstat(fd, &info) == 0 && info.st_size >= magicBytes)
    bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
  close(fd);
  if (bytes == MAP_FAILED) return -1;
  *image = (struct image){bytes, (size_t)info.st_size, magicBytes};
  return 0;
}

void closeImage(struct image* image) {
  if (image->bytes) munmap((void*)image->bytes, image->length);
  image->bytes = NULL;
}

int nextMessage(struct image* image, struct image* message) {
  uint32_t length;
  if (image->at == image->length) return 0;
  if (image->length - image->at < sizeof length) return -1;
  memcpy(&length, image->bytes + image->at, sizeof length);
  image->at += sizeof length;
  if (length > image->length - image->at) return -1;
  *message = (struct image){image->bytes + image->at, length, 0};
  image->at += length;
  return 1;
}

static int readVarint(struct image* message, uint64_t* value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && message->at < message->length; shift += 7) {
    unsigned char byte = message->bytes[message->at++];
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return 0;
  }
  return -1;
}

int nextField(struct image* message, unsigned* field, uint64_t* value, struct image* bytes) {
  enum { varint = 0, fixed64 = 1, delimited = 2, fixed32 = 5 };
  uint64_t tag;
  if (message->at == message->length) return 0;
  if (readVarint(message, &tag) != 0) return -1;
  *field = (unsigned)(tag >> 3);
  *value = 0;
  const unsigned kind = tag & 7;
  if (kind == varint) return readVarint(message, value) == 0 ? 1 : -1;
  uint64_t length = kind == fixed64 ? 8 : kind == fixed32 ? 4 : 0;
  if ((kind != fixed64 && kind != fixed32 && kind != delimited) || (kind == delimited && readVarint(message, &length) != 0)) return -1;
  if (length > message->length - message->at) return -1;
  *bytes = (struct image){message->bytes + message->at, (size_t)length, 0};
  message->at += (size_t)length;
  return 1;
}
