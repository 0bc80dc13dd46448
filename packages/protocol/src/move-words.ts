// Words and defaults of moves that need no schema.

/**
 * How memory goes over. `stop-and-copy`: all of it after the freeze. `pre-copy`: in rounds while the container runs, the rest after the
 * freeze. `post-copy`: after it runs again, on demand; refused, see below. `auto`: what fits, by the memory's size and how fast it is written.
 */
export const moveStrategies = ['auto', 'stop-and-copy', 'pre-copy', 'post-copy'] as const
export type MoveStrategy = (typeof moveStrategies)[number]

/** Why post-copy is refused, and what to do: docs/migration.md has what was tried. */
export const postCopyRefusal =
  'a source that is lost while memory is still there would leave it running with zeros in its place; use auto, pre-copy or stop-and-copy'

/** As many as the widest evacuation has under way. */
export const defaultMovesPerHost = 32
export const defaultMovesPerLink = 32
