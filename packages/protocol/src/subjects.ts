// Subjects of the bus, how often they are used, and the bound of a message.

/** What every host's certificate says beside its addresses: any of them may serve the bus. */
export const busTlsName = 'bus.drover.internal'

/** How long a host's certificate holds. */
export const hostCertificateDays = 825

/** How often a host is heard from when nothing changes. */
export const heartbeatMs = 1000
/** How often it tells everything then, what its containers use among it; below `silentAfterMs`, for a controller that can't ask for it. */
export const completeReportMs = 4000
/** How often an agent pulls everything even when nothing was pushed. */
export const pullIntervalMs = 5000
/** Without a report for this long a host counts as silent and takes no new containers. */
export const silentAfterMs = 5000
/**
 * How long the answer to a pull lets a host run what may be started elsewhere, counted from when the pull was sent; then its engine
 * freezes it. The leader counts a host as lost only after at least `leastLostAfterMs` without a pull: the difference is for clocks that
 * run apart, and for freezing what is busy.
 */
export const leaseMs = 20_000
export const leastLostAfterMs = 30_000
/** A NATS message over this is refused (the server's own limit is set to the same). */
export const maxMessageBytes = 8 << 20

/** The subjects; `cluster` is the cluster's name, so that several can share a bus. */
export const subjects = {
  assignments: (cluster: string, host: string) => `drover.${cluster}.host.${host}.assignments`,
  reports: (cluster: string) => `drover.${cluster}.reports`,
  reportsWanted: (cluster: string) => `drover.${cluster}.reports-wanted`,
  pull: (cluster: string) => `drover.${cluster}.pull`,
} as const
