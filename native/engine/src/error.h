// The engine's one error type. Code is one of the protocol's ErrorCodes; the message says what was being done, to what,
// and the kernel's answer. Functions return Status or Result<T>; nothing is thrown across a function border.
#pragma once

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace drover {

struct Error {
  std::string code;
  std::string message;
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}
  bool ok() const { return !error_; }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::move(value)) {}
  Result(Error error) : content_(std::move(error)) {}
  bool ok() const { return std::holds_alternative<T>(content_); }
  const Error& error() const { return std::get<Error>(content_); }
  T& value() { return std::get<T>(content_); }
  const T& value() const { return std::get<T>(content_); }

 private:
  std::variant<T, Error> content_;
};

inline Error engineError(std::string message) { return {"ENGINE_FAILED", std::move(message)}; }

/** `what: <text of errno>`; takes errno first thing. */
inline Error errnoError(const std::string& what, int number = errno) {
  return {"ENGINE_FAILED", what + ": " + std::strerror(number)};
}

}  // namespace drover

/** Returns the error of a Status or Result from the calling function. */
#define DROVER_TRY(expression)                                       \
  do {                                                               \
    if (auto status_ = (expression); !status_.ok()) return status_.error(); \
  } while (0)

/** `DROVER_TRY_ASSIGN(fd, openThing())`: declares `fd` with the value, or returns the error. */
#define DROVER_TRY_ASSIGN(name, expression)               \
  auto name##Result_ = (expression);                      \
  if (!name##Result_.ok()) return name##Result_.error();  \
  auto name = std::move(name##Result_.value())
