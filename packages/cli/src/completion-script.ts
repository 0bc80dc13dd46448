// Completion scripts, made from the commands themselves so that they can't fall behind. Names of containers and hosts are asked
// from the cluster while completing.

import type { Command } from 'commander'

/** What has names in the cluster. */
type Named = 'container' | 'host' | 'operation' | 'volume'

interface Completed {
  /** Words after `drover`, e.g. `host evacuate`. */
  path: string
  below: string[]
  options: string[]
  /** What its arguments are, in order; the last one repeats. */
  arguments: (Named | string[] | null)[]
}

export function bashCompletion(program: Command): string {
  const cases = describe(program).map(({ path, below, options, arguments: kinds }) => {
    const patterns = kinds.map((kind) =>
      Array.isArray(kind) ? kind.join(' ') : kind ? `$(_drover_names ${kind})` : '',
    )
    const first = patterns[0] ?? ''
    const later = patterns.at(-1) ?? ''
    return `    '${path}') words="${below.join(' ')}"; options="${options.join(' ')}"; first="${first}"; later="${later}" ;;`
  })
  return `# bash completion for drover
_drover_names() {
  case "$1" in
    container) drover ls -q 2>/dev/null ;;
    host) drover host ls -q 2>/dev/null ;;
    volume) drover volume ls -q 2>/dev/null ;;
    operation) drover ops ls 2>/dev/null | awk 'NR > 1 { print $1 }' ;;
  esac
}
_drover() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path='' i word given=0 words='' options='' first='' later=''
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    [[ "$word" == -- ]] && return
    [[ "$word" == -* ]] && continue
    case " ${describe(program)
      .map(({ path }) => path.replaceAll(' ', '/'))
      .filter((path) => path !== '')
      .join(' ')} " in
      *" \${path:+\${path// //}/}$word "*) path="\${path:+$path }$word" ;;
      *) given=$((given + 1)) ;;
    esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  if [[ "$current" == -* ]]; then words="$options"
  elif ((given == 0)); then words="$words $first"
  else words="$later"; fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _drover drover`
}

/** zsh runs bash's through its own compatibility layer. */
export function zshCompletion(program: Command): string {
  return `#compdef drover
# zsh completion for drover
autoload -U +X bashcompinit && bashcompinit
${bashCompletion(program)
  .replace('# bash completion for drover\n', '')
  .replace(
    'mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")',
    'COMPREPLY=($(compgen -W "$words" -- "$current"))',
  )}`
}

function describe(program: Command): Completed[] {
  const below = (command: Command, path: string[]): Completed[] => {
    const children = command.commands as Command[]
    const flags = command.options.flatMap(({ long }) => (long ? [long] : []))
    const own = {
      path: path.join(' '),
      below: children.map((each) => each.name()),
      options: [...flags, '--help'],
      arguments: command.registeredArguments.map((each) => each.argChoices ?? kindOf(each.name())),
    }
    return [own, ...children.flatMap((each) => below(each, [...path, each.name()]))]
  }
  return below(program, [])
}

function kindOf(argument: string): Named | null {
  if (argument === 'container' || argument === 'host' || argument === 'volume') return argument
  return argument === 'id' ? 'operation' : null
}
