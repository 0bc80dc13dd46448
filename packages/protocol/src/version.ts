// Versions that two parts compare before they talk.

export const version = '0.1.0'
/** Engine socket, agent messages and migration stream each carry this; a different one is refused with VERSION_MISMATCH. */
export const protocolVersion = 1
