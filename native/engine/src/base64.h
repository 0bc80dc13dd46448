// Bytes in JSON: RFC 4648 base64, with padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace drover {

std::string toBase64(std::string_view data);
/** Empty when the text is not base64: another character, or padding elsewhere than at its end. */
std::optional<std::string> fromBase64(std::string_view text);

}  // namespace drover
