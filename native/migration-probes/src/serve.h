// The two ends of the protocol that main.c describes.
#pragma once
#include "probe.h"

enum { first_port = 7100, line_bytes = 512, answer_ms = 20000 };

int probe_count(void);
const struct probe *probe_at(int index);
// -1: there is none of that name.
int probe_index(const char *name);
int start_probes(int count, char **names);
int ask_probes(int count, char **arguments);
int watch_probes(const char *address, int count, char **names);
