// Reading CRIU's image files: magic numbers, then messages (protobuf), each after its length.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct image {
  const unsigned char* bytes;
  size_t length, at;
};

/** 0: it is there, in memory. */
int openImage(int folder, const char* name, struct image* image);
void closeImage(struct image* image);
/** The next message. 1: one, 0: the end, -1: it is cut off. */
int nextMessage(struct image* image, struct image* message);
/** The next field of a message: its number, and its value if that is a number, else its bytes. 1: one, 0: the end, -1: not understood. */
int nextField(struct image* message, unsigned* field, uint64_t* value, struct image* bytes);
