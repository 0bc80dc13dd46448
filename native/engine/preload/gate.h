// Where CRIU, all made ready, waits: for a dump until the container stands still, for a restore until its images are there.
#pragma once

/** From the constructor: learns from the environment whether the engine keeps a gate. */
void findGate(void);
/**
 * The first time: tells the engine and waits for its word; without it this process ends. Does nothing when there is no gate. A restore takes
 * what is sent ahead meanwhile (staged_pages.h); `images` is its directory, -1 in a dump.
 */
void waitAtGate(int images);
