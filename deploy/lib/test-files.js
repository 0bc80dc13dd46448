// Which test files there are, and how they may run: the native engine's one at a time, since they look at the whole machine; stories two
// at a time, since each has a laboratory of its own and mostly waits.

import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'

/** Seconds that one file may take. */
const unitTimeout = 180
const storyTimeout = 900
/** Stories that take longest begin first, so that none of them runs alone at the end. */
const longStories = ['whole-system', 'compatibility', 'faults', 'move-options']

/** Stages in order: {name, jobs, timeout, files}; stages without files are left out. */
export function testStages(root, filters) {
  const files = testFiles(root).filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)))
  const isStory = (file) => file.startsWith('cluster-tests/')
  const isNative = (file) => !isStory(file) && file.split('/').pop().startsWith('native-')
  return [
    { name: 'packages', jobs: 2, timeout: unitTimeout, files: files.filter((f) => !isStory(f) && !isNative(f)) },
    { name: 'native engine', jobs: 1, timeout: storyTimeout, files: files.filter(isNative) },
    { name: 'cluster', jobs: 2, timeout: storyTimeout, files: files.filter(isStory).sort(longFirst) },
  ].filter((stage) => stage.files.length > 0)
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
