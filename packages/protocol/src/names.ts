// What a name is.

/** A DNS label, so that a name of a container or host can be a hostname. */
export const namePattern = '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'
