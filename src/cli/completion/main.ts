import {writeSync} from 'node:fs'
import {safe} from '../output/safe.ts'
import {cacheDirectory, configDirectory} from '../places.ts'
import {complete} from './candidates.ts'
import {markAsked, namesPath, readNames, scopeOf} from './names.ts'
import type {CommandTree} from './tree.ts'

/** The build puts the tree of all commands here. */
declare const GPUCTL_COMMAND_TREE: CommandTree

/**
 * `gpuctl __complete WORD… CURRENT`: prints a line for each candidate, word and description parted by a tab, and then
 * `:DIRECTIVE`. Called at every Tab before anything else is loaded; says nothing when something is wrong.
 */
export function main(words: string[], program: string): void {
  try {
    const env = process.env
    const current = words.at(-1) ?? ''
    const before = words.slice(0, -1)
    const asked = {server: valueBehind(before, '--server', '-s'), context: valueBehind(before, '--context')}
    const scope = scopeOf({env, folder: process.cwd(), configDirectory: configDirectory(env), ...asked})
    const {candidates, directive} = complete({words: before, current}, GPUCTL_COMMAND_TREE, kind => {
      const path = namesPath(cacheDirectory(env), scope, kind)
      const {names, isStale} = readNames(path, scope)
      if (isStale) fetchBehind(program, kind, asked, path)
      return names
    })
    const lines = candidates.map(({word, about}) => `${safe(word)}\t${safe(about)}`)
    writeSync(1, `${[...lines, `:${directive}`].join('\n')}\n`)
  } catch {
    // A Tab is no place for an error.
  }
}

function fetchBehind(program: string, kind: string, asked: {server?: string; context?: string}, path: string): void {
  const {spawn} = require('node:child_process') as typeof import('node:child_process')
  markAsked(path)
  const flags = Object.entries(asked).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]))
  spawn(process.execPath, [program, 'completion', 'refresh', kind, ...flags], {detached: true, stdio: 'ignore'}).unref()
}

function valueBehind(words: readonly string[], ...names: string[]): string | undefined {
  for (let at = words.length - 1; at >= 0; at--) {
    const word = words[at] as string
    if (names.includes(word)) return words[at + 1]
    const [name, ...value] = word.split('=')
    if (names.includes(name as string) && value.length > 0) return value.join('=')
  }
  return undefined
}
