#include "kernel_keys.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <optional>

#include "file_io.h"
#include "unique_fd.h"
#include "words.h"

namespace drover {
namespace {

constexpr size_t largestTable = 4 << 20;
/** systemd puts it into each service's session keyring, and nobody looks for it there. */
constexpr std::string_view invocation = "invocation_id";

std::optional<uint32_t> number(std::string_view text) {
  uint32_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/** /proc/keys shows the keys that who opens it may view: this thread does so as the user. */
Result<std::string> tableAs(uint32_t uid) {
  // The system call, not glibc's: of this thread alone.
  const auto before = static_cast<uint32_t>(syscall(SYS_setfsuid, uid));
  UniqueFd table(open("/proc/keys", O_RDONLY | O_CLOEXEC));
  const int failure = errno;
  syscall(SYS_setfsuid, before);
  if (!table.valid()) return errnoError("open /proc/keys", failure);
  std::string text;
  char chunk[4096];
  for (ssize_t n; (n = read(table.get(), chunk, sizeof chunk)) > 0 && text.size() < largestTable;) text.append(chunk, static_cast<size_t>(n));
  return text;
}

}  // namespace

std::vector<std::string> keysIn(std::string_view table, uint32_t uid) {
  // ID FLAGS USAGE EXPIRY PERMISSIONS UID GID TYPE DESCRIPTION
  constexpr size_t flags = 1, expiry = 3, owner = 5, type = 7, description = 8;
  std::vector<std::string> keys;
  for (std::string_view line : splitAt(table, '\n')) {
    auto words = splitWords(line);
    if (words.size() <= type || number(words[owner]) != uid) continue;
    const bool dead = words[flags].find_first_of("RDN") != std::string_view::npos || words[expiry] == "expd";
    if (dead || words[type] == "keyring") continue;
    // `krb_ccache:primary: 12`: what follows the last colon is the key's size.
    std::string_view name = words.size() > description ? words[description] : "";
    if (name.ends_with(':')) name.remove_suffix(1);
    if (name == invocation) continue;
    keys.push_back(std::string(words[type]) + (name.empty() ? "" : " ") + std::string(name));
  }
  return keys;
}

std::vector<uint32_t> keyOwnersIn(std::string_view table) {
  std::vector<uint32_t> owners;
  for (std::string_view line : splitAt(table, '\n')) {
    auto words = splitWords(line);
    if (words.empty() || !words[0].ends_with(':')) continue;
    if (auto uid = number(words[0].substr(0, words[0].size() - 1))) owners.push_back(*uid);
  }
  return owners;
}

Result<std::vector<UserKeys>> readKeys(uint32_t first, uint32_t count) {
  DROVER_TRY_ASSIGN(users, readFile("/proc/key-users", largestTable));
  std::vector<UserKeys> all;
  for (uint32_t uid : keyOwnersIn(users)) {
    if (uid < first || uid - first >= count) continue;
    DROVER_TRY_ASSIGN(table, tableAs(uid));
    if (auto keys = keysIn(table, uid); !keys.empty()) all.push_back({uid, std::move(keys)});
  }
  return all;
}

}  // namespace drover
