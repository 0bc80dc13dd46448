// `drover completion`: the script by which a shell completes drover's command lines.

import { Argument, type Command } from 'commander'
import { bashCompletion, zshCompletion } from '../completion-script.ts'
import { action, defineCommand } from '../define-command.ts'

export function register(program: Command): void {
  defineCommand(program, 'completion', {
    summary: 'print the completion script of a shell',
    examples: [
      ['source <(drover completion bash)', 'for this bash; put it into ~/.bashrc for all'],
      ['drover completion zsh > ~/.zfunc/_drover', 'for zsh, with ~/.zfunc in its fpath'],
    ],
    json: 'print one JSON document {shell, script} on stdout',
  })
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh']))
    .action(
      action(async ({ output }, shell: 'bash' | 'zsh') => {
        const script = shell === 'bash' ? bashCompletion(program) : zshCompletion(program)
        output.result({ shell, script }, () => script)
      }),
    )
}
