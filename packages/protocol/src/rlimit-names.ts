// What setrlimit(2) limits, without RLIMIT_ and in small letters.

/** In the order of their numbers in Linux. */
export const rlimitNames = [
  'cpu',
  'fsize',
  'data',
  'stack',
  'core',
  'rss',
  'nproc',
  'nofile',
  'memlock',
  'as',
  'locks',
  'sigpending',
  'msgqueue',
  'nice',
  'rtprio',
  'rttime',
] as const
export type RlimitName = (typeof rlimitNames)[number]
