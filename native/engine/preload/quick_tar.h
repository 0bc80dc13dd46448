// What CRIU runs `tar` for: the contents of a tmpfs, to and from an archive.
#pragma once

/**
 * Does in this process what these arguments ask of tar. 0: done. -1: it is not simple enough, and nothing has been done. Else it has failed halfway,
 * and that is the exit status.
 */
int quickTar(char* const arguments[]);
/** The same for a directory and an archive that are open; owners are counted from `first`, and there are `count` of them. */
int quickCreate(int directory, int archive, unsigned first, unsigned count);
/** The same for an archive that is open and a directory that is to get its contents. */
int quickExtract(int archive, const char* directory);
