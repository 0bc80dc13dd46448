// One number for all that a container's writable layer holds, so that the two sides of a move can tell that they have the same: names, types,
// modes, owners, times, devices, link targets, extended attributes (ACLs and file capabilities are such), which names are one file, and all content.
// It is found while the container runs, and afterwards again only for what has changed since, so that a blackout pays for that alone. Left out
// is what tar can't carry or must not: overlayfs' notes about the file system below, and times and attributes of sockets.
// XXH3, as https://github.com/Cyan4973/xxHash describes it: it is for faults, not against attackers; the way between hosts is TLS.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "container.h"
#include "error.h"
#include "unique_fd.h"

namespace drover {

class Engine;

struct FileTime {
  std::string path;
  int64_t seconds = 0;
  int64_t nanoseconds = 0;
};

class TreeHash {
 public:
  /**
   * Looks at everything below `root`; what is in the files comes with `read`. `before`: what an earlier one read isn't read again where inode, size
   * and time of change are the same. `detailed`: for `index`.
   */
  static Result<std::unique_ptr<TreeHash>> begin(const std::string& root, const TreeHash* before = nullptr, bool detailed = false);
  ~TreeHash();

  /** These paths, relative to the root, may have changed, or be gone; what is below a directory that is named is only looked at when it is new. */
  Status update(const std::vector<std::string>& paths, bool detailed = false);
  /** Reads files whose content isn't known, about so many bytes of them; returns how many are left. */
  Result<int64_t> read(int64_t mostBytes);

  /** 32 hexadecimal digits; only when nothing is left to read. */
  std::string digest() const;
  /** What is known of each entry, as packages/agent/src/migration/tree-index.ts reads it; only of a detailed one, when nothing is left to read. */
  std::string index() const;
  /** The same of what was updated as `detailed` since this was last asked, and is still there. */
  std::string takeDetails();
  /** Sets when these files were modified, before they are updated. */
  Status setTimes(const std::vector<FileTime>& times) const;
  size_t entries() const { return entries_.size(); }
  /** Of all files. */
  int64_t bytes() const;

 private:
  struct Number {
    uint64_t low = 0, high = 0;
  };
  /** Of a detailed one. */
  struct Details {
    /** Of what a change of its content leaves: mode, owners, extended attributes. */
    Number attributes;
    /** Of each piece of a larger file; zeros alone have 0. */
    std::vector<Number> pieces;
  };
  struct Entry {
    Number facts, content;
    uint64_t inode = 0;
    int64_t size = 0;
    int64_t changedNs = 0;
    std::shared_ptr<Details> details;
    bool isFile = false, isDirectory = false, hasOtherNames = false, known = false;
  };
  class Reader;

  explicit TreeHash(UniqueFd root);
  Status look(const std::string& path, bool detailed);
  Status list(const std::string& directory, bool everything);
  void forget(const std::string& path);
  void takeOver(const TreeHash& before);
  static void describe(const std::string& path, const Entry& entry, std::string& text);

  UniqueFd root_;
  bool detailed_ = false;
  std::set<std::string> inDetail_;
  int64_t beganNs_ = 0;
  /** By path; the root itself is ".". */
  std::map<std::string, Entry> entries_;
  /** For whichever file is read. */
  std::unique_ptr<char[]> buffer_;
  std::unique_ptr<Reader> reader_;
};

/**
 * messages.ts says what each combination does. One tree per container and directory, until it is begun anew or forgotten.
 */
struct TreeQuestion {
  bool anew = false;
  std::vector<std::string> changed;
  int64_t mostBytes = 0;
  /** Of this directory, a volume of the container, instead of its layer; empty: of that. */
  std::string directory;
  /** Where the index goes; empty: none is wanted. */
  std::string index;
  /** Where what is now known of each of `changed` goes; empty: nowhere. */
  std::string details;
  /** Of a container without processes: what to set before anything is looked at. */
  std::vector<FileTime> times;
  /** Of a tree that is looked at anew: where its layer comes from before, or goes to; empty: nowhere. See small_layer.h. */
  std::string unpack, pack;
};
Result<nlohmann::json> hashTree(Engine& engine, const std::shared_ptr<Container>& container, const TreeQuestion& question);
/** Its volumes' as well. */
void forgetTree(const std::string& container);

}  // namespace drover
