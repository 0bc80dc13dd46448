// The completion script, run by a real bash: what is offered at which place.

import { spawnSync } from 'node:child_process'
import t from 'tap'
import { run } from './fake-cluster.ts'

/** What bash offers at the end of `words`; containers are web-1 and web-2, hosts a and b. */
async function complete(words: string[]): Promise<string[]> {
  const { stdout: script } = await run(['completion', 'bash'], {})
  const program = `
    drover() { case "$*" in 'ls -q') echo web-1; echo web-2 ;; 'host ls -q') echo a; echo b ;; esac; }
    ${script}
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    _drover
    printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr, status } = spawnSync('bash', ['-c', program, 'bash', 'drover', ...words], {
    encoding: 'utf8',
  })
  if (status !== 0 || stderr !== '') throw new Error(`bash: ${status} ${stderr}`)
  return stdout.split('\n').filter((word) => word !== '')
}

const cases: [string[], string[]][] = [
  [['l'], ['launch', 'ls', 'logs']],
  [['host', 'e'], ['evacuate']],
  [
    ['host', 'evacuate', ''],
    ['a', 'b'],
  ],
  [['host', 'evacuate', '--pa'], ['--parallel']],
  [
    ['move', 'w'],
    ['web-1', 'web-2'],
  ],
  [
    ['move', 'web-1', ''],
    ['a', 'b'],
  ],
  [
    ['start', 'web-1', ''],
    ['web-1', 'web-2'],
  ],
  [
    ['image', 'build', ''],
    ['busybox', 'debian'],
  ],
  [['exec', 'web-1', '--', ''], []],
]
for (const [words, offered] of cases) {
  t.test(`drover ${words.join(' ')}<TAB> offers ${offered.join(' ') || 'nothing'}`, async (t) => {
    t.same(await complete(words), offered)
  })
}

t.test('zsh gets its own preamble around the same', async (t) => {
  const { stdout } = await run(['completion', 'zsh'], {})
  t.match(stdout, /^#compdef drover\n/)
  t.match(stdout, /bashcompinit/)
  t.notMatch(stdout, 'mapfile')
})
