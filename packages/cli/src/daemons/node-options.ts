// How the Node daemons are started: most of them idle most of the time, so the heap is told to stay small. The semi-space
// is V8's nursery, which otherwise grows to 16 MiB and stays resident. It grows only while there is much to do; with 1 MiB a tenth
// of a busy controller's time went into collecting what was garbage a moment later.

/** An idle controller or agent needs about 20 MiB of heap; this leaves room for thousands of containers. */
export const maxOldSpaceMegabytes = 512
export const maxSemiSpaceMegabytes = 4
/**
 * How many bytes of bytecode a function runs before V8 optimizes it: four times the usual. Of what a daemon does in a busy minute most is done a few
 * hundred times, and optimizing it cost more than it saved: in an evacuation of a hundred containers, in turns, a tenth of the daemons' time.
 */
export const optimizedAfterBytes = 4 * 66 * 1024
/** Node versions whose V8 has that option; one that doesn't know it wouldn't start. */
const knowingVersions: readonly number[] = [20, 22]

export const nodeCommand = (main: string, config: string): string[] => [
  process.execPath,
  `--max-old-space-size=${maxOldSpaceMegabytes}`,
  `--max-semi-space-size=${maxSemiSpaceMegabytes}`,
  ...(knowingVersions.includes(Number.parseInt(process.versions.node, 10))
    ? [`--interrupt-budget=${optimizedAfterBytes}`]
    : []),
  main,
  config,
]
