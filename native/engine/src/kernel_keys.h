// Keys of a container's users in the kernel's keyrings (keyrings(7)), which no checkpoint carries.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"

namespace drover {

/**
 * `type description` of each key of the user in /proc/keys that is worth a word: keyrings themselves, dead keys, and what systemd gives
 * every service are not. No effects.
 */
std::vector<std::string> keysIn(std::string_view table, uint32_t uid);
/** Users with a key or keyring, from /proc/key-users. No effects. */
std::vector<uint32_t> keyOwnersIn(std::string_view table);

struct UserKeys {
  uint32_t uid = 0;
  std::vector<std::string> keys;
};

/** Of the users from `first` on, `count` of them, by the host's numbers. */
Result<std::vector<UserKeys>> readKeys(uint32_t first, uint32_t count);

}  // namespace drover
