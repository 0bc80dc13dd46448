// See request.h.
#include "request.h"

#include <vector>

#include "json_io.h"

namespace drover {

namespace {

constexpr size_t longestId = 256;
constexpr size_t longestMethod = 64;
constexpr int64_t longestWaitMs = 24LL * 3600 * 1000;
constexpr int64_t mostLogBytes = 512 << 10;
constexpr int64_t mostCopiedBytes = 256 << 20;
constexpr size_t longestNameShown = 64;

struct Field {
  const char* name;
  /** Null: `whole` of the method reads it. */
  Status (*read)(const Json& params, Call& call) = nullptr;
};

struct Rule {
  const char* method;
  std::vector<Field> fields;
  /** For what is parsed together; null: nothing is. */
  Status (*whole)(const Json& params, Call& call) = nullptr;
};

template <int64_t Call::* member>
Status readInteger(const Json& params, Call& call, const char* name, int64_t least, int64_t most) {
  DROVER_TRY_ASSIGN(number, integerField(params, name, least, most));
  call.*member = number;
  return {};
}

const Field container{"container", [](const Json& params, Call& call) -> Status {
                        DROVER_TRY_ASSIGN(id, stringField(params, "container"));
                        if (!isContainerId(id)) return badRequest("field `container`: `" + id.substr(0, longestNameShown) + "` is not 1 to 32 of [a-z0-9-]");
                        call.container = id;
                        return {};
                      }};
const Field epoch{"epoch", [](const Json& params, Call& call) { return readInteger<&Call::epoch>(params, call, "epoch", 0, INT64_MAX / 2); }};
const Field version{"protocolVersion", [](const Json& params, Call& call) { return readInteger<&Call::protocolVersion>(params, call, "protocolVersion", 0, INT32_MAX); }};
const Field timeout{"timeoutMs", [](const Json& params, Call& call) { return readInteger<&Call::timeoutMs>(params, call, "timeoutMs", 0, longestWaitMs); }};
const Field signalNumber{"signal", [](const Json& params, Call& call) -> Status {
                           DROVER_TRY_ASSIGN(number, integerField(params, "signal", 1, 64));
                           call.signal = static_cast<int>(number);
                           return {};
                         }};
const Field stopSignal{"signal", [](const Json& params, Call& call) -> Status { return present(params, "signal") ? signalNumber.read(params, call) : Status(); }};
const Field logOffset{"offset", [](const Json& params, Call& call) { return readInteger<&Call::offset>(params, call, "offset", INT64_MIN / 2, INT64_MAX / 2); }};
const Field logLimit{"limit", [](const Json& params, Call& call) { return readInteger<&Call::limit>(params, call, "limit", 1, mostLogBytes); }};
const Field starts{"starts", [](const Json& params, Call& call) { return readInteger<&Call::starts>(params, call, "starts", 0, INT64_MAX); }};
const Field startedAt{"startedAtMs", [](const Json& params, Call& call) -> Status {
                        if (!present(params, "startedAtMs")) return {};
                        DROVER_TRY_ASSIGN(number, integerField(params, "startedAtMs", 0, INT64_MAX));
                        call.startedAtMs = number;
                        return {};
                      }};
const Field frozen{"frozen", [](const Json& params, Call& call) -> Status {
                     if (!present(params, "frozen")) return {};
                     DROVER_TRY_ASSIGN(asked, booleanField(params, "frozen"));
                     call.frozen = asked;
                     return {};
                   }};
const Field memoryRoom{"memoryRoomBytes", [](const Json& params, Call& call) -> Status {
                         if (!present(params, "memoryRoomBytes")) return {};
                         return readInteger<&Call::memoryRoomBytes>(params, call, "memoryRoomBytes", 0, INT64_MAX / 4);
                       }};
const Field fileSystems{"fileSystems", [](const Json& params, Call& call) -> Status {
                          DROVER_TRY_ASSIGN(asked, booleanField(params, "fileSystems"));
                          call.fileSystems = asked;
                          return {};
                        }};
const Field directory{"directory", [](const Json& params, Call& call) -> Status {
                        DROVER_TRY_ASSIGN(path, stringField(params, "directory"));
                        if (path.empty() || path.front() != '/') return badRequest("field `directory`: `" + path + "` is not an absolute path");
                        call.directory = path;
                        return {};
                      }};
const Field directoryIfKnown{"directory", [](const Json& params, Call& call) -> Status { return present(params, "directory") ? directory.read(params, call) : Status(); }};
/** Missing or null: none. */
Status readPath(const Json& params, const char* name, std::string& to) {
  if (!present(params, name)) return {};
  DROVER_TRY_ASSIGN(path, stringField(params, name));
  if (path.empty() || path.front() != '/') return badRequest(std::string("field `") + name + "`: `" + path + "` is not an absolute path");
  to = path;
  return {};
}
const Field keep{"keep", [](const Json& params, Call& call) { return readPath(params, "keep", call.directory); }};
const Field indexPath{"index", [](const Json& params, Call& call) { return readPath(params, "index", call.tree.index); }};
const Field treeDirectory{"directory", [](const Json& params, Call& call) { return readPath(params, "directory", call.tree.directory); }};
const Field packPath{"pack", [](const Json& params, Call& call) { return readPath(params, "pack", call.tree.pack); }};
const Field unpackPath{"unpack", [](const Json& params, Call& call) { return readPath(params, "unpack", call.tree.unpack); }};
const Field uidBase{"uidBase", [](const Json& params, Call& call) -> Status {
                      DROVER_TRY_ASSIGN(first, integerField(params, "uidBase", 0, UINT32_MAX - uidRange));
                      call.uidBase = static_cast<uint32_t>(first);
                      return {};
                    }};
constexpr size_t mostChangedPaths = 16'384;

/** A path is bytes; in JSON each is one character, U+0000 to U+00FF. */
Result<std::string> bytesOf(const std::string& text, const char* field) {
  std::string bytes;
  for (size_t at = 0; at < text.size(); at++) {
    const auto first = static_cast<unsigned char>(text[at]);
    if (first < 0x80) {
      bytes.push_back(text[at]);
      continue;
    }
    if ((first & 0xfc) != 0xc0 || ++at == text.size()) return badRequest(std::string("field `") + field + "`: a path has a character beyond U+00FF");
    bytes.push_back(static_cast<char>((first & 3) << 6 | (text[at] & 0x3f)));
  }
  return bytes;
}

/** A path below a layer's root, which is '.', a byte a character. */
Result<std::string> pathInLayer(const Json& text, const char* field) {
  const std::string named = std::string("field `") + field + "`: ";
  if (!text.is_string()) return badRequest(named + "must hold strings");
  DROVER_TRY_ASSIGN(path, bytesOf(text.get<std::string>(), field));
  if (path.empty() || path.front() == '/' || path.find('\0') != std::string::npos) return badRequest(named + "a path must lie in the layer");
  return path;
}

const Field changedPaths{"changed", [](const Json& params, Call& call) -> Status {
                           if (!params.contains("changed")) return badRequest("field `changed`: must be null or a list of paths");
                           call.tree.anew = params["changed"].is_null();
                           if (call.tree.anew) return {};
                           const Json& paths = params["changed"];
                           if (!paths.is_array() || paths.size() > mostChangedPaths)
                             return badRequest("field `changed`: must be null or at most " + std::to_string(mostChangedPaths) + " paths");
                           for (const Json& each : paths) {
                             DROVER_TRY_ASSIGN(path, pathInLayer(each, "changed"));
                             call.tree.changed.push_back(std::move(path));
                           }
                           return {};
                         }};
const Field detailsPath{"details", [](const Json& params, Call& call) { return readPath(params, "details", call.tree.details); }};
const Field fileTimes{"times", [](const Json& params, Call& call) -> Status {
                        if (!present(params, "times")) return {};
                        const Json& times = params["times"];
                        if (!times.is_array() || times.size() > mostChangedPaths) return badRequest("field `times`: must be a list of at most " + std::to_string(mostChangedPaths));
                        for (const Json& each : times) {
                          if (!each.is_object() || !each.contains("path")) return badRequest("field `times`: must hold objects with a path");
                          DROVER_TRY_ASSIGN(path, pathInLayer(each["path"], "times"));
                          DROVER_TRY_ASSIGN(seconds, integerField(each, "seconds", 0, INT64_MAX));
                          DROVER_TRY_ASSIGN(nanoseconds, integerField(each, "nanoseconds", 0, 999'999'999));
                          call.tree.times.push_back({.path = std::move(path), .seconds = seconds, .nanoseconds = nanoseconds});
                        }
                        return {};
                      }};
const Field mostBytes{"mostBytes", [](const Json& params, Call& call) { return readInteger<&Call::limit>(params, call, "mostBytes", 0, mostCopiedBytes); }};
const Field partNumber{"part", [](const Json& params, Call& call) -> Status {
                         DROVER_TRY_ASSIGN(number, integerField(params, "part", 1, UINT32_MAX));
                         call.part = static_cast<uint32_t>(number);
                         return {};
                       }};
const Field partSize{"bytes", [](const Json& params, Call& call) { return readInteger<&Call::limit>(params, call, "bytes", 0, mostCopiedBytes); }};
const Field spec{"spec", [](const Json& params, Call& call) -> Status {
                   DROVER_TRY_ASSIGN(value, objectField(params, "spec"));
                   DROVER_TRY_ASSIGN(parsed, parseSpec(value));
                   call.spec = std::move(parsed);
                   return {};
                 }};
const Field limits{"limits", [](const Json& params, Call& call) -> Status {
                     DROVER_TRY_ASSIGN(value, objectField(params, "limits"));
                     DROVER_TRY_ASSIGN(parsed, parseLimits(value));
                     call.limits = std::move(parsed);
                     return {};
                   }};
const Field otherName{"name", [](const Json& params, Call& call) -> Status {
                        if (!present(params, "name")) return {};
                        DROVER_TRY_ASSIGN(text, stringField(params, "name"));
                        if (!isName(text)) return badRequest("field `name`: `" + text.substr(0, longestNameShown) + "` is not a DNS label");
                        call.name = std::move(text);
                        return {};
                      }};

const Field security{"security", [](const Json& params, Call& call) -> Status {
                       if (!present(params, "security")) return {};
                       DROVER_TRY_ASSIGN(value, objectField(params, "security"));
                       DROVER_TRY_ASSIGN(parsed, parseSecurity(value));
                       call.security = std::move(parsed);
                       return {};
                     }};
const Field sysctls{"sysctls", [](const Json& params, Call& call) -> Status {
                      if (!present(params, "sysctls")) return {};
                      DROVER_TRY_ASSIGN(parsed, parseSysctls(params["sysctls"]));
                      call.sysctls = std::move(parsed);
                      return {};
                    }};
const Field rlimits{"rlimits", [](const Json& params, Call& call) -> Status {
                      if (!present(params, "rlimits")) return {};
                      DROVER_TRY_ASSIGN(parsed, parseResourceLimits(params["rlimits"]));
                      call.rlimits = std::move(parsed);
                      return {};
                    }};
const Field devices{"devices", [](const Json& params, Call& call) -> Status {
                      if (!present(params, "devices")) return {};
                      DROVER_TRY_ASSIGN(parsed, parseDevices(params["devices"]));
                      call.devices = std::move(parsed);
                      return {};
                    }};

const Field until{"untilMs", [](const Json& params, Call& call) { return readInteger<&Call::untilMs>(params, call, "untilMs", 0, INT64_MAX / 2); }};
const Field leases{"containers", [](const Json& params, Call& call) -> Status {
                     DROVER_TRY_ASSIGN(named, objectField(params, "containers"));
                     for (const auto& [id, _] : named.items()) {
                       if (!isContainerId(id)) return badRequest("field `containers`: `" + id.substr(0, longestNameShown) + "` is not 1 to 32 of [a-z0-9-]");
                       DROVER_TRY_ASSIGN(number, integerField(named, id.c_str(), 0, INT64_MAX / 2));
                       call.leases[id] = number;
                     }
                     return {};
                   }};

Status readFile(const Json& params, Call& call) {
  DROVER_TRY_ASSIGN(request, parseFileRequest(call.method, params));
  call.file = std::move(request);
  return {};
}

Status readExec(const Json& params, Call& call) {
  DROVER_TRY_ASSIGN(request, parseExecRequest(params));
  call.exec = std::move(request);
  return {};
}

/** Every method with its fields, as messages.ts has them. */
const std::vector<Rule> rules = {
    {"hello", {version}},
    {"list", {}},
    {"subscribe", {}},
    {"create", {spec}},
    {"prepareRestore", {spec, startedAt, starts, frozen, memoryRoom, directoryIfKnown}},
    {"get", {container}},
    {"start", {container, epoch}},
    {"stop", {container, epoch, timeout, stopSignal}},
    {"kill", {container, epoch, signalNumber}},
    {"update", {container, epoch, limits, devices, otherName, security, sysctls, rlimits}},
    {"freeze", {container, epoch}},
    {"thaw", {container, epoch}},
    {"delete", {container, epoch, keep}},
    {"lease", {until, leases}},
    {"copyMemory", {container, epoch, directory, mostBytes}},
    {"stageMemory", {container, epoch, directory, partNumber, partSize}},
    {"hashTree", {container, epoch, changedPaths, mostBytes, indexPath, detailsPath, fileTimes, packPath, unpackPath, treeDirectory}},
    {"checkpoint", {container, epoch, directory}},
    {"checkpointImages", {container}},
    {"restore", {container, epoch, directory}},
    {"replaceDisk", {container, epoch, directory, uidBase}},
    {"release", {container, epoch}},
    {"wait", {container, timeout}},
    {"logs", {container, logOffset, logLimit}},
    {"processes", {container}},
    {"usage", {container, fileSystems}},
    {"preflight", {container}},
    {"fileStat", {container, {"path"}, {"follow"}}, readFile},
    {"fileList", {container, {"path"}, {"after"}}, readFile},
    {"fileRead", {container, {"path"}, {"offset"}, {"limit"}}, readFile},
    {"fileWrite", {container, {"path"}, {"offset"}, {"dataBase64"}, {"truncate"}, {"mode"}, {"uid"}, {"gid"}}, readFile},
    {"fileMake", {container, {"path"}, {"type"}, {"target"}, {"mode"}, {"uid"}, {"gid"}}, readFile},
    {"exec", {container, {"command"}, {"environment"}, {"directory"}, {"user"}, {"terminal"}}, readExec},
};

}  // namespace

Result<Request> parseRequest(FrameType type, std::string_view payload, Json& id) {
  if (type != FrameType::json) return badRequest("a frame of type " + std::to_string(static_cast<int>(type)) + " came where a request was expected");
  Json value = parseJson(payload);
  if (value.is_discarded()) return badRequest("the request is not JSON, or is nested deeper than " + std::to_string(deepestJson));
  if (!value.is_object()) return badRequest("the request is not a JSON object");
  auto found = value.find("id");
  if (found == value.end() || !(found->is_number() || found->is_string())) return badRequest("field `id`: must be a number or a string");
  // It is part of every answer, which must fit into a frame.
  if (found->is_string() && found->get_ref<const std::string&>().size() > longestId)
    return badRequest("field `id`: over " + std::to_string(longestId) + " bytes, the limit");
  id = *found;
  DROVER_TRY_ASSIGN(method, stringField(value, "method", longestMethod));
  DROVER_TRY_ASSIGN(params, objectField(value, "params"));
  return Request{std::move(method), std::move(params)};
}

Result<Call> parseCall(const Request& request) {
  const Rule* rule = nullptr;
  for (const auto& known : rules)
    if (request.method == known.method) rule = &known;
  if (!rule) return badRequest("field `method`: `" + request.method + "` is none that this engine knows");
  for (const auto& [name, value] : request.params.items()) {
    bool known = false;
    for (const auto& field : rule->fields) known = known || name == field.name;
    if (!known) return badRequest("field `" + name.substr(0, longestNameShown) + "`: `" + request.method + "` has no such field");
  }
  Call call;
  call.method = request.method;
  for (const auto& field : rule->fields)
    if (field.read) DROVER_TRY(field.read(request.params, call));
  if (rule->whole) DROVER_TRY(rule->whole(request.params, call));
  return call;
}

}  // namespace drover
