// A CRIU that only waits, loaded and linked, and is copied for each move: to load and to link one takes the processor as long as a fifth of
// all that a small container's move takes it.
#pragma once

/** From the constructor: learns from the environment whether this is one to be copied. */
void findNursery(void);
/**
 * In any other CRIU, 0 at once. In this one, 1 in each copy: its socket and gate are where CRIU's command line and the environment
 * say, and what the engine has to tell it is in the environment. The one that is copied ends here, with the engine.
 */
int waitInNursery(void);
