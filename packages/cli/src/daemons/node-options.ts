// How the Node daemons are started: most of them idle most of the time, so the heap is told to stay small. The semi-space
// is V8's nursery, which otherwise grows to 16 MiB and stays resident. It grows only while there is much to do; with 1 MiB a tenth
// of a busy controller's time went into collecting what was garbage a moment later.

/** An idle controller or agent needs about 20 MiB of heap; this leaves room for thousands of containers. */
export const maxOldSpaceMegabytes = 512
export const maxSemiSpaceMegabytes = 4

export const nodeCommand = (main: string, config: string): string[] => [
  process.execPath,
  `--max-old-space-size=${maxOldSpaceMegabytes}`,
  `--max-semi-space-size=${maxSemiSpaceMegabytes}`,
  main,
  config,
]
