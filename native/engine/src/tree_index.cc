// What an agent asks of a container's tree: its number, found in as many calls as it likes, and the index by which two layers are compared.
// See tree_hash.h.
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "engine.h"
#include "file_io.h"
#include "small_layer.h"
#include "tree_hash.h"

namespace drover {
namespace {

constexpr uint32_t indexMagic = 0x31786464;
/** What the index of two trees takes in an agent. */
constexpr size_t mostIndexed = 500'000;

template <typename Value>
void append(std::string& to, const Value& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::mutex treesMutex;
/** By container and directory. */
using TreeKey = std::pair<std::string, std::string>;
std::map<TreeKey, std::unique_ptr<TreeHash>> trees;

std::unique_ptr<TreeHash> takeTree(const TreeKey& key) {
  std::lock_guard lock(treesMutex);
  auto node = trees.extract(key);
  return node.empty() ? nullptr : std::move(node.mapped());
}

/** Nobody inside may see or hinder it. */
Status mustStand(const Container& container, const std::string& what) {
  if (container.snapshot().initPid != 0) return Error{"WRONG_STATE", what + " the layer of " + container.id + ": it has processes"};
  return {};
}

Status unpackInto(const Container& container, const std::string& file) {
  DROVER_TRY(mustStand(container, "unpack"));
  return unpackLayer(container.upper(), file);
}

}  // namespace

std::string TreeHash::index() const {
  std::string text;
  append(text, indexMagic);
  for (const auto& [path, entry] : entries_) describe(path, entry, text);
  return text;
}

std::string TreeHash::takeDetails() {
  std::string text;
  append(text, indexMagic);
  for (const std::string& path : inDetail_) {
    const auto found = entries_.find(path);
    if (found != entries_.end()) describe(path, found->second, text);
  }
  inDetail_.clear();
  return text;
}

void TreeHash::describe(const std::string& path, const Entry& entry, std::string& text) {
  // Sockets are none of tar's.
  if (!entry.details) return;
  append(text, static_cast<uint32_t>(path.size()));
  append(text, static_cast<uint32_t>(entry.details->pieces.size()));
  append(text, entry.size);
  for (const Number& number : {entry.facts, entry.details->attributes, entry.content}) append(text, number);
  text.push_back(entry.isDirectory ? 'd' : entry.isFile ? 'f' : 'o');
  text.push_back(entry.hasOtherNames ? 1 : 0);
  text += path;
  for (const Number& piece : entry.details->pieces) append(text, piece);
}

Result<nlohmann::json> hashTree(Engine&, const std::shared_ptr<Container>& container, const TreeQuestion& question) {
  const TreeKey key(container->id, question.directory);
  const std::string root = question.directory.empty() ? container->upper() : question.directory;
  std::unique_ptr<TreeHash> tree = takeTree(key);
  if (question.mostBytes == 0) return nlohmann::json{{"hash", nullptr}, {"entries", 0}, {"bytes", 0}, {"leftBytes", 0}};
  bool packed = false;
  if (question.anew) {
    if (!question.unpack.empty()) DROVER_TRY(unpackInto(*container, question.unpack));
    // Before it is looked at: what changes in between is in the delta.
    if (!question.pack.empty()) {
      DROVER_TRY_ASSIGN(whole, packLayer(container->upper(), question.pack));
      packed = whole;
    }
    DROVER_TRY_ASSIGN(begun, TreeHash::begin(root, tree.get(), !question.index.empty()));
    tree = std::move(begun);
  } else if (!tree) return Error{"WRONG_STATE", "hash the tree of " + container->id + ": it was not begun"};
  if (!question.times.empty()) {
    DROVER_TRY(mustStand(*container, "set times in"));
    DROVER_TRY(tree->setTimes(question.times));
  }
  DROVER_TRY(tree->update(question.changed, !question.details.empty()));
  DROVER_TRY_ASSIGN(left, tree->read(question.mostBytes));
  nlohmann::json result = {{"hash", nullptr}, {"entries", tree->entries()}, {"bytes", tree->bytes()}, {"leftBytes", left}};
  if (!question.pack.empty()) result["packed"] = packed;
  if (!question.unpack.empty()) result["synced"] = true;
  if (left == 0) result["hash"] = tree->digest();
  if (left == 0 && !question.index.empty() && tree->entries() <= mostIndexed) DROVER_TRY(replaceFile(question.index, tree->index(), false));
  if (left == 0 && !question.details.empty()) DROVER_TRY(replaceFile(question.details, tree->takeDetails(), false));
  std::lock_guard lock(treesMutex);
  trees.insert_or_assign(key, std::move(tree));
  return result;
}

void forgetTree(const std::string& container) {
  std::lock_guard lock(treesMutex);
  std::erase_if(trees, [&](const auto& each) { return each.first.first == container; });
}

}  // namespace drover
