import {findCommand} from '../argv.ts'
import {waitKinds} from '../wait-kinds.ts'
import {passThrough, shortcuts, topicWords} from '../words.ts'
import type {Kind} from './kinds.ts'
import type {ArgumentNode, CommandTree, FlagNode} from './tree.ts'

export interface Candidate {
  word: string
  about: string
}

export interface Completion {
  candidates: Candidate[]
  /** What the shell does beside: names of files, or nothing; `stay`: no space behind the word. */
  directive: 'files' | 'folders' | 'stay' | 'none'
}

export interface Line {
  /** Words before the one that is being typed, without the program. */
  words: readonly string[]
  /** What is typed of it so far. */
  current: string
}

/** The names of a kind that are known at once; asking for them may fetch newer ones behind. */
export type NamesOf = (kind: Kind) => Candidate[]

/** What may stand where the cursor stands. Nothing here asks anybody or waits. */
export function complete({words, current}: Line, tree: CommandTree, namesOf: NamesOf): Completion {
  const {id, positional, before, isOver} = read(words, tree)
  const command = id === undefined ? undefined : tree.commands[id]
  if (isOver) return {candidates: [], directive: 'files'}
  const flags = {...tree.globals, ...command?.flags}
  const open = flagNamed(words.at(-1) ?? '', flags)
  if (open?.type === 'option') return valuesOf(open, current, '', namesOf)
  const assigned = /^(--[a-z0-9-]+=)(.*)$/s.exec(current)
  if (assigned) {
    const flag = flagNamed((assigned[1] as string).slice(0, -1), flags)
    return flag ? valuesOf(flag, assigned[2] as string, assigned[1] as string, namesOf) : nothing
  }
  if (current.startsWith('-')) return pick(flagWords(flags, words), current)
  if (id === undefined || !command) return pick(nextWords(before, tree), current)
  const further = positional.length === 0 ? nextWords(before, tree) : []
  if (id === 'wait') return objectWords(current, namesOf)
  if (id === 'instance:cp') return copyWords(current, namesOf)
  const at = Math.min(positional.length, command.repeats ? command.args.length - 1 : positional.length)
  const argument = command.args[at]
  if (!argument) return pick(further, current)
  const found = valuesOf(argument, current, '', namesOf)
  const unused = found.candidates.filter(({word}) => !positional.includes(word))
  return {...found, candidates: [...pick(further, current).candidates, ...unused]}
}

const nothing: Completion = {candidates: [], directive: 'none'}

interface Read {
  /** The command that the words name, as far as they do. */
  id?: string
  /** Its arguments so far. */
  positional: string[]
  /** Topic words that name no command yet, or those of the command. */
  before: string[]
  /** Behind `--`, or behind the instance of `exec` and `ssh`: the words of another program. */
  isOver: boolean
}

function read(words: readonly string[], tree: CommandTree): Read {
  const commands = new Map(Object.entries(tree.commands).map(([id, {flags}]) => [id, flags]))
  const plain: string[] = []
  let id: string | undefined
  let used = 0
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string
    if (word === '--') return {id, positional: plain.slice(used), before: plain, isOver: true}
    if (word.startsWith('-') && word !== '-') {
      const flags = {...tree.globals, ...(id === undefined ? {} : tree.commands[id]?.flags)}
      if (!word.includes('=') && flagNamed(word, flags)?.type === 'option') at++
      continue
    }
    plain.push(word)
    const found = findCommand(plain, commands)
    if (found.id !== undefined && found.used >= used) [id, used] = [found.id, found.used]
    if (id !== undefined && passThrough.has(id) && plain.length > used) {
      return {id, positional: plain.slice(used), before: plain, isOver: true}
    }
  }
  return {id, positional: plain.slice(used), before: plain, isOver: false}
}

function flagNamed(typed: string, flags: Record<string, FlagNode>): FlagNode | undefined {
  if (typed.startsWith('--')) return flags[typed.slice(2)]
  return /^-[A-Za-z]$/.test(typed) ? Object.values(flags).find(({char}) => char === typed[1]) : undefined
}

function flagWords(flags: Record<string, FlagNode>, words: readonly string[]): Candidate[] {
  return Object.entries(flags).flatMap(([name, {about, allowNo, multiple, char}]) => {
    const isGiven = words.some(word => word === `--${name}` || word.startsWith(`--${name}=`) || word === `-${char}`)
    if (isGiven && !multiple) return []
    return [{word: `--${allowNo ? 'no-' : ''}${name}`, about}]
  })
}

/** Topics, verbs and short ways that may follow the words. */
function nextWords(before: readonly string[], {commands, topics}: CommandTree): Candidate[] {
  const path = before.map(word => topicWords[word] ?? word)
  const start = path.map(word => `${word}:`).join('')
  const found = new Map<string, string>()
  for (const [id, {about}] of Object.entries(commands)) {
    if (!id.startsWith(start)) continue
    const [next = '', ...more] = id.slice(start.length).split(':')
    if (more.length === 0) found.set(next, about)
    else if (!found.has(next)) found.set(next, topics[[...path, next].join(':')] ?? '')
  }
  if (before.length === 0) {
    for (const [word, way] of Object.entries(shortcuts)) {
      const {about} = commands[way.join(':')] ?? {}
      if (about !== undefined && !found.has(word)) found.set(word, about)
    }
    found.set('help', 'Help for a command')
  }
  return [...found].map(([word, about]) => ({word, about}))
}

function valuesOf({options, kind, files}: ArgumentNode, current: string, prefix: string, namesOf: NamesOf): Completion {
  if (files) return {candidates: [], directive: files}
  const values = options ? options.map(word => ({word, about: ''})) : kind ? namesOf(kind) : []
  return pick(values, current, prefix)
}

/** `claim/train`, for `wait`. */
function objectWords(current: string, namesOf: NamesOf): Completion {
  const kind = waitKinds.find(one => current.startsWith(`${one}/`))
  if (kind) return pick(namesOf(kind), current.slice(kind.length + 1), `${kind}/`)
  const found = pick(
    waitKinds.map(word => ({word: `${word}/`, about: ''})),
    current,
  )
  return {...found, directive: 'stay'}
}

/** `train:/path` or a file here. */
function copyWords(current: string, namesOf: NamesOf): Completion {
  if (/[/.]/.test(current) || current.includes(':')) return {candidates: [], directive: 'files'}
  const {candidates} = pick(namesOf('instance'), current)
  return {candidates: candidates.map(({word, about}) => ({word: `${word}:`, about})), directive: 'files'}
}

function pick(candidates: readonly Candidate[], current: string, prefix = ''): Completion {
  const chosen = candidates.filter(({word}) => word.startsWith(current))
  const sorted = chosen.sort((a, b) => (a.word < b.word ? -1 : 1))
  return {candidates: sorted.map(({word, about}) => ({word: `${prefix}${word}`, about})), directive: 'none'}
}
