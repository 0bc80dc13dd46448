// The part of the shell's language that tests use, as data: commands joined by ; && || and newlines, quotes, $VARIABLES,
// > and >> redirection. No pipes, no substitution: an operator that isn't known is a syntax error, never ignored.

export interface ScriptCommand {
  /** When it runs, by the exit code of the one before. */
  when: 'always' | 'success' | 'failure'
  words: string[]
  redirect: { path: string; append: boolean } | null
}

type Token = { word: string } | { operator: string }

export function parseScript(text: string, environment: Record<string, string>): ScriptCommand[] {
  const commands: ScriptCommand[] = []
  let command: ScriptCommand = { when: 'always', words: [], redirect: null }
  const tokens = tokenize(text, environment)
  const finish = (when: ScriptCommand['when']) => {
    if (command.words.length > 0) commands.push(command)
    command = { when, words: [], redirect: null }
  }
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index]!
    if ('word' in token) command.words.push(token.word)
    else if (token.operator === '>' || token.operator === '>>') {
      const target = tokens[++index]
      if (!target || !('word' in target)) throw new SyntaxError(`a file must follow ${token.operator}`)
      command.redirect = { path: target.word, append: token.operator === '>>' }
    } else finish(token.operator === '&&' ? 'success' : token.operator === '||' ? 'failure' : 'always')
  }
  finish('always')
  return commands
}

const operators = ['&&', '||', '>>', '>', ';', '\n']
const unsupported = new Set(['|', '&', '<', '(', ')', '`'])

function tokenize(text: string, environment: Record<string, string>): Token[] {
  const tokens: Token[] = []
  let word: string | null = null
  const endWord = () => {
    if (word !== null) tokens.push({ word })
    word = null
  }
  for (let index = 0; index < text.length; ) {
    const character = text[index]!
    const operator = operators.find((candidate) => text.startsWith(candidate, index))
    if (operator) {
      endWord()
      tokens.push({ operator })
      index += operator.length
    } else if (unsupported.has(character)) {
      throw new SyntaxError(`${character} is not supported by the simulated shell`)
    } else if (character === ' ' || character === '\t') {
      endWord()
      index++
    } else if (character === "'" || character === '"') {
      const end = text.indexOf(character, index + 1)
      if (end < 0) throw new SyntaxError(`unterminated ${character}`)
      const inner = text.slice(index + 1, end)
      word = (word ?? '') + (character === '"' ? expand(inner, environment) : inner)
      index = end + 1
    } else if (character === '$') {
      const name = /^\$(\w+|\{\w+\}|\?|\$)/.exec(text.slice(index))?.[0] ?? '$'
      word = (word ?? '') + expand(name, environment)
      index += name.length
    } else if (character === '\\' && index + 1 < text.length) {
      word = (word ?? '') + text[index + 1]
      index += 2
    } else {
      word = (word ?? '') + character
      index++
    }
  }
  endWord()
  return tokens
}

function expand(text: string, environment: Record<string, string>): string {
  return text.replace(/\$(?:(\w+)|\{(\w+)\})/g, (_, plain?: string, braced?: string) => {
    return environment[plain ?? braced ?? ''] ?? ''
  })
}
