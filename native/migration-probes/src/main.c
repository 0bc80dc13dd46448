// probe list                  names and what they are about
// probe start NAME…           starts each as a daemon and waits until it is set up; one line each: `NAME ok 0`
// probe ask [ADDRESS] NAME…   asks each once: `NAME ok N`, `NAME bad REASON`, `NAME absent REASON`
// probe watch ADDRESS NAME…   holds one TCP connection to each, and asks over these for every line that comes on stdin
// A probe listens on TCP port 7100 + its place in the list; a line in, a line out: `ok N`, where N counts its good checks and
// lives in its memory alone.

#include "serve.h"

int main(int argc, char **argv) {
  if (argc == 2 && !strcmp(argv[1], "list")) {
    for (int index = 0; index < probe_count(); index++) printf("%s\t%s\n", probe_at(index)->name, probe_at(index)->what);
    return 0;
  }
  if (argc > 2 && !strcmp(argv[1], "start")) return start_probes(argc - 2, argv + 2);
  if (argc > 2 && !strcmp(argv[1], "ask")) return ask_probes(argc - 2, argv + 2);
  if (argc > 3 && !strcmp(argv[1], "watch")) return watch_probes(argv[2], argc - 3, argv + 3);
  fprintf(stderr, "probe list | start NAME... | ask [ADDRESS] NAME... | watch ADDRESS NAME...\n");
  return 2;
}
