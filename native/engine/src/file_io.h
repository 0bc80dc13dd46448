// Small files: kernel interfaces (cgroup, proc) and the engine's own.
#pragma once

#include <string>

#include "error.h"
#include "unique_fd.h"

namespace drover {

/** At most `limit` bytes; empty error-free string for an empty file. */
Result<std::string> readFile(const std::string& path, size_t limit = 1 << 20);
/** The same below an open directory. */
Result<std::string> readFileAt(int directory, const std::string& path, size_t limit);
/** One write to an existing file, as kernel interfaces want it. */
Status writeKernelFile(const std::string& path, const std::string& content);
/** The file with this content alone, made if there is none; only its owner may read it. */
Result<UniqueFd> writeAfresh(const std::string& path, const std::string& content);
/** What a file is called until it takes another one's place. */
constexpr const char* newSuffix = ".new";
/** Replaces the file by rename, so that it is always either old or new. `durable`: what it holds is on the disk before. */
Status replaceFile(const std::string& path, const std::string& content, bool durable);
/** What it holds by name survives a power cut. */
Status syncDirectory(const std::string& path);
Status makeDirectory(const std::string& path, unsigned mode);
Status makeDirectories(const std::string& path, unsigned mode);
/** Removes a tree, however deep, without following links or leaving its file system; nothing there is no error. Nobody else works on it. */
Status removeTree(const std::string& path);

}  // namespace drover
