// Reading JSON that others wrote: each field is checked for its type, and the error names the field.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "error.h"

namespace drover {

using Json = nlohmann::json;

inline Error badRequest(std::string message) { return {"BAD_REQUEST", std::move(message)}; }

constexpr int deepestJson = 16;

/** Discarded when it is not JSON, or nested deeper than anything of ours: that is not even built. */
inline Json parseJson(std::string_view text) {
  bool tooDeep = false;
  Json value = Json::parse(
      text,
      [&tooDeep](int depth, Json::parse_event_t, Json&) {
        tooDeep = tooDeep || depth > deepestJson;
        return !tooDeep;
      },
      false);
  return tooDeep ? Json(Json::value_t::discarded) : value;
}

inline Result<Json> objectField(const Json& value, const char* name) {
  auto found = value.is_object() ? value.find(name) : value.end();
  if (!value.is_object() || found == value.end() || !found->is_object())
    return badRequest(std::string("field `") + name + "`: must be an object");
  return *found;
}

inline Result<std::string> stringField(const Json& value, const char* name, size_t longest = 4096) {
  if (!value.is_object()) return badRequest(std::string("field `") + name + "`: missing, what holds it is not an object");
  auto found = value.find(name);
  if (found == value.end() || !found->is_string()) return badRequest(std::string("field `") + name + "`: must be a string");
  const auto& text = found->get_ref<const std::string&>();
  if (text.size() > longest)
    return badRequest(std::string("field `") + name + "`: " + std::to_string(text.size()) + " bytes, the limit is " +
                      std::to_string(longest));
  if (text.find('\0') != std::string::npos) return badRequest(std::string("field `") + name + "`: must not hold a zero byte");
  return text;
}

inline Result<int64_t> integerField(const Json& value, const char* name, int64_t least, int64_t most) {
  if (!value.is_object()) return badRequest(std::string("field `") + name + "`: missing, what holds it is not an object");
  auto found = value.find(name);
  // A number with a fraction or beyond 2^53 is never meant as an integer.
  constexpr double mostExact = 9007199254740992.0;
  const double real = found != value.end() && found->is_number_float() ? found->get<double>() : mostExact;
  bool whole = found != value.end() && (found->is_number_integer() || (std::abs(real) < mostExact && real == std::trunc(real)));
  if (!whole) return badRequest(std::string("field `") + name + "`: must be an integer");
  int64_t number = found->is_number_unsigned() && found->get<uint64_t>() > INT64_MAX ? INT64_MAX : found->get<int64_t>();
  if (number < least || number > most)
    return badRequest(std::string("field `") + name + "`: " + std::to_string(number) + " is not in " + std::to_string(least) + "…" +
                      std::to_string(most));
  return number;
}

inline Result<bool> booleanField(const Json& value, const char* name) {
  auto found = value.is_object() ? value.find(name) : value.end();
  if (!value.is_object() || found == value.end() || !found->is_boolean()) return badRequest(std::string("field `") + name + "`: must be true or false");
  return found->get<bool>();
}

/** Whether the field is there and not null. */
inline bool present(const Json& value, const char* name) {
  if (!value.is_object()) return false;
  auto found = value.find(name);
  return found != value.end() && !found->is_null();
}

/** JSON text that never fails: bytes that are not UTF-8 are replaced. */
inline std::string toText(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace drover
