// See file_request.h.
#include "file_request.h"

#include "base64.h"
#include "json_io.h"
#include "spec.h"

namespace drover {

namespace {

Result<std::string> pathField(const Json& params, const char* name) {
  DROVER_TRY_ASSIGN(path, stringField(params, name, 4095));
  if (path.empty() || path.front() != '/') return badRequest(std::string("field `") + name + "`: must be an absolute path");
  return path;
}

Result<FileOwner> parseOwner(const Json& params) {
  FileOwner owner;
  if (present(params, "mode")) {
    DROVER_TRY_ASSIGN(mode, integerField(params, "mode", 0, 07777));
    owner.mode = static_cast<mode_t>(mode);
  }
  if (present(params, "uid")) {
    DROVER_TRY_ASSIGN(uid, integerField(params, "uid", 0, uidRange - 1));
    owner.uid = static_cast<uid_t>(uid);
  }
  if (present(params, "gid")) {
    DROVER_TRY_ASSIGN(gid, integerField(params, "gid", 0, uidRange - 1));
    owner.gid = static_cast<gid_t>(gid);
  }
  return owner;
}

constexpr int64_t largestOffset = int64_t{1} << 50;

}  // namespace

bool isFileMethod(const std::string& method) {
  for (const char* known : {"fileStat", "fileList", "fileRead", "fileWrite", "fileMake"})
    if (method == known) return true;
  return false;
}

Result<FileRequest> parseFileRequest(const std::string& method, const Json& params) {
  FileRequest request;
  request.method = method;
  DROVER_TRY_ASSIGN(path, pathField(params, "path"));
  request.path = path;
  if (method == "fileStat") {
    DROVER_TRY_ASSIGN(follow, booleanField(params, "follow"));
    request.follow = follow;
  }
  if (method == "fileList" && present(params, "after")) {
    DROVER_TRY_ASSIGN(after, stringField(params, "after"));
    request.after = after;
  }
  if (method == "fileRead" || method == "fileWrite") {
    DROVER_TRY_ASSIGN(offset, integerField(params, "offset", 0, largestOffset));
    request.offset = offset;
  }
  if (method == "fileRead") {
    DROVER_TRY_ASSIGN(limit, integerField(params, "limit", 1, mostFileBytes));
    request.limit = limit;
  }
  if (method == "fileWrite") {
    DROVER_TRY_ASSIGN(text, stringField(params, "dataBase64", mostFileBytes / 3 * 4 + 4));
    auto data = fromBase64(text);
    if (!data) return badRequest("field `dataBase64`: not base64");
    request.data = std::move(*data);
    DROVER_TRY_ASSIGN(truncate, booleanField(params, "truncate"));
    request.truncate = truncate;
  }
  if (method == "fileMake") {
    DROVER_TRY_ASSIGN(type, stringField(params, "type", 16));
    if (type != "directory" && type != "symlink") return badRequest("field `type`: must be directory or symlink");
    request.type = type;
    if (type == "symlink") {
      DROVER_TRY_ASSIGN(target, stringField(params, "target", 4095));
      if (target.empty()) return badRequest("field `target`: must not be empty");
      request.target = target;
    }
  }
  if (method == "fileWrite" || method == "fileMake") {
    DROVER_TRY_ASSIGN(owner, parseOwner(params));
    request.owner = owner;
  }
  return request;
}

}  // namespace drover
