import {type Kind, kindOfArgument, kindOfFlag} from './kinds.ts'

/** What completion knows of the commands: the manifest without what only help needs. */
export interface CommandTree {
  commands: Record<string, CommandNode>
  /** `node join-token` → what its commands are about. */
  topics: Record<string, string>
  /** Flags of every command. */
  globals: Record<string, FlagNode>
}

export interface CommandNode {
  about: string
  args: ArgumentNode[]
  /** The last argument may come again. */
  repeats: boolean
  /** Without the global ones. */
  flags: Record<string, FlagNode>
}

export interface ArgumentNode {
  options?: string[]
  kind?: Kind
  files?: 'files' | 'folders'
}

export interface FlagNode extends ArgumentNode {
  about: string
  char?: string
  type: 'boolean' | 'option'
  allowNo?: boolean
  multiple?: boolean
}

interface Described {
  name: string
  description?: string
  options?: string[]
  hidden?: boolean
  helpValue?: string
}

/** The parts of oclif.manifest.json that are read. */
export interface Manifest {
  commands: Record<
    string,
    {
      summary?: string
      hidden?: boolean
      strict?: boolean
      args: Record<string, Described>
      flags: Record<string, Flag>
    }
  >
}

interface Flag extends Described {
  type: string
  char?: string
  allowNo?: boolean
  multiple?: boolean
  helpGroup?: string
}

export function treeOf({commands}: Manifest, topics: Record<string, {description: string}>): CommandTree {
  const shown = Object.entries(commands).filter(([, {hidden}]) => !hidden)
  return {
    globals: flagsOf(shown.flatMap(([, {flags}]) => Object.values(flags).filter(isGlobal))),
    commands: Object.fromEntries(
      shown.map(([id, {summary = '', args, flags, strict}]) => [
        id,
        {
          about: firstSentence(summary),
          args: Object.values(args).map(arg => takes(arg, kindOfArgument(id, arg.name))),
          repeats: strict === false,
          flags: flagsOf(Object.values(flags).filter(flag => !isGlobal(flag))),
        },
      ]),
    ),
    topics: Object.fromEntries(
      Object.entries(topics).map(([name, {description}]) => [name, firstSentence(description)]),
    ),
  }
}

function isGlobal({helpGroup}: Flag): boolean {
  return helpGroup === 'GLOBAL'
}

function flagsOf(flags: readonly Flag[]): Record<string, FlagNode> {
  return Object.fromEntries(flags.filter(({hidden}) => !hidden).map(flag => [flag.name, flagOf(flag)]))
}

function flagOf(flag: Flag): FlagNode {
  const {type, char, allowNo, multiple, description = ''} = flag
  return {
    about: description,
    type: type === 'option' ? 'option' : 'boolean',
    ...(char ? {char} : {}),
    ...(allowNo ? {allowNo} : {}),
    ...(multiple ? {multiple} : {}),
    ...(type === 'option' ? takes(flag, kindOfFlag(flag.name)) : {}),
  }
}

function takes({name, options, helpValue = ''}: Described, kind: Kind | undefined): ArgumentNode {
  if (options) return {options}
  if (helpValue === '<folder>' || name === 'data') return {files: 'folders'}
  if (helpValue === '<file>' || /^(file|path|source|target)$/.test(name)) return {files: 'files'}
  return kind ? {kind} : {}
}

function firstSentence(text: string): string {
  return text.split(/[.:;](?:\s|$)/)[0] ?? ''
}
