// fuzz-replay CORPUS [TARGET] runs every input of a corpus folder (of one target) once, fuzz-replay TARGET FILE a single one. Any
// compiler builds it. A finding ends it through the sanitizer; the line before the report names the input.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "target.h"

namespace fs = std::filesystem;

namespace {

void runFile(const Target& target, const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::stringstream content;
  content << stream.rdbuf();
  // Of exactly its size, so that a read beyond its end is seen.
  const std::string text = content.str();
  std::vector<char> input(text.begin(), text.end());
  input.shrink_to_fit();
  fprintf(stderr, "input %s\n", file.c_str());
  target.run({input.data(), input.size()});
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 3 && findTarget(arguments[1])) {
    runFile(*findTarget(arguments[1]), arguments[2]);
    fprintf(stderr, "nothing found\n");
    return 0;
  }
  if (count < 2 || count > 3) {
    fprintf(stderr, "usage: fuzz-replay CORPUS [TARGET] | fuzz-replay TARGET FILE\n");
    return 2;
  }
  size_t all = 0;
  for (const auto& target : targets()) {
    if (count == 3 && target.name != arguments[2]) continue;
    const fs::path folder = fs::path(arguments[1]) / target.name;
    size_t inputs = 0;
    if (fs::is_directory(folder))
      for (const auto& entry : fs::directory_iterator(folder)) {
        runFile(target, entry.path());
        ++inputs;
      }
    printf("%s %zu\n", target.name.c_str(), inputs);
    all += inputs;
  }
  return all == 0;
}
