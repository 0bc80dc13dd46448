// The parameters of the file… methods (messages.ts), checked. No effects; inside_files serves them.
#pragma once

#include <sys/types.h>

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "error.h"

namespace drover {

/** Longest piece of a file in one request or answer. */
constexpr int64_t mostFileBytes = 512 << 10;

struct FileOwner {
  std::optional<mode_t> mode;
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
};

/** A checked request; `method` is one of fileStat, fileList, fileRead, fileWrite, fileMake. */
struct FileRequest {
  std::string method;
  std::string path;
  bool follow = true;
  std::string after;
  int64_t offset = 0;
  int64_t limit = 0;
  std::string data;
  bool truncate = false;
  /** fileMake: directory or symlink. */
  std::string type;
  std::string target;
  FileOwner owner;
};

bool isFileMethod(const std::string& method);
Result<FileRequest> parseFileRequest(const std::string& method, const nlohmann::json& params);

}  // namespace drover
