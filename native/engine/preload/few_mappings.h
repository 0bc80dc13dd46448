// Turns the program's and its libraries' mappings of files, about a hundred, into two pieces of ordinary memory for each of them.
#pragma once

/** For a process with one thread. What can't be done is left as it is. */
void joinMappings(void);
