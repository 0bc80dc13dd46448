// Which test files there are, and how they may run: two at a time, stories three, which have a laboratory of their own each, and wait half
// of the time. Of the native engine's only one runs at a time, for they are about what a kernel does in time; packages' run beside them.

import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'

/** Seconds that one file may take. */
const unitTimeout = 180
const storyTimeout = 900
/** Stories that take longest begin first, so that none of them runs alone at the end. */
const longStories = ['whole-system', 'compatibility', 'faults', 'move-options']

/**
 * Stages in order: {name, files, lanes}; stages without files are left out. A lane runs one file after the other, all of its first queue,
 * then of its next; a file is in one queue, a queue perhaps in several lanes. {timeout, files}: seconds for each file.
 */
export function testStages(root, filters) {
  const files = testFiles(root).filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)))
  const isStory = (file) => file.startsWith('cluster-tests/')
  const isNative = (file) => !isStory(file) && file.split('/').pop().startsWith('native-')
  const packages = { timeout: unitTimeout, files: files.filter((file) => !isStory(file) && !isNative(file)) }
  const native = { timeout: storyTimeout, files: files.filter(isNative) }
  const stories = { timeout: storyTimeout, files: files.filter(isStory).sort(longFirst) }
  return [
    {
      name: 'packages, native engine',
      files: packages.files.length + native.files.length,
      lanes: [[native, packages], [packages]],
    },
    { name: 'cluster', files: stories.files.length, lanes: [[stories], [stories], [stories]] },
  ].filter((stage) => stage.files > 0)
}

function longFirst(left, right) {
  const place = (file) => {
    const at = longStories.findIndex((name) => file.endsWith(`/${name}.test.ts`))
    return at === -1 ? longStories.length : at
  }
  return place(left) - place(right)
}

function testFiles(root) {
  const folders = readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name, 'test'))
  return [...folders, join(root, 'cluster-tests', 'test')]
    .flatMap(below)
    .map((file) => relative(root, file))
    .sort()
}

function below(folder) {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      if (entry.isDirectory()) return below(join(folder, entry.name))
      return entry.name.endsWith('.test.ts') ? [join(folder, entry.name)] : []
    })
  } catch (error) {
    if (error.code === 'ENOENT') return []
    throw error
  }
}
