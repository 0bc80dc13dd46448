// Where CRIU, all made ready for a dump, waits until the container stands still.
#pragma once

/** From the constructor: learns from the environment whether the engine keeps a gate. */
void findGate(void);
/** The first time: tells the engine and waits for its word; without it this process ends. Does nothing when there is no gate. */
void waitAtGate(void);
