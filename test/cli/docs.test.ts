import {readdir, readFile} from 'node:fs/promises'
import {expect, test} from 'vitest'
import {normalise} from '../../src/cli/argv.ts'
import {exitCode} from '../../src/cli/exit-codes.ts'
import {helpTopics} from '../../src/cli/help-topics.ts'
import type {CommandShapes} from '../../src/cli/words.ts'
import {operator} from '../support/gpuctl.ts'

const root = new URL('../../', import.meta.url)
const manifest = JSON.parse(await readFile(new URL('oclif.manifest.json', root), 'utf8'))
const commands = new Map(
  Object.entries(manifest.commands as Record<string, {flags: object}>).map(([id, {flags}]) => [id, flags]),
) as unknown as CommandShapes

/** Every `gpuctl …` in code: blocks and inline; up to a comment, a pipe, or the next command. */
function typedIn(text: string): string[] {
  const code = [...text.matchAll(/```[a-z]*\n([\s\S]*?)```|`([^`\n]+)`/g)].map(
    ([, block, inline]) => block ?? inline ?? '',
  )
  return code
    .filter(piece => !piece.includes('│')) // a drawing
    .map(piece => piece.replaceAll('\\\n', ' '))
    .flatMap(piece => piece.split('\n'))
    .flatMap(line => [...line.matchAll(/(?:^|[\s(;&|>])gpuctl ((?:(?!\s{2,}|[;&|)]| #).)*)/g)])
    .map(([, words = '']) => words.trim())
}

async function pages(): Promise<Record<string, string>> {
  const names = (await readdir(new URL('docs/', root))).filter(name => name.endsWith('.md')).map(name => `docs/${name}`)
  const texts = ['README.md', ...names].map(async name => [name, await readFile(new URL(name, root), 'utf8')] as const)
  return {...Object.fromEntries(await Promise.all(texts)), ...helpTopics}
}

test('every command line of the README, the pages and the help topics names a command, and flags that it has', async () => {
  const wrong: string[] = []
  let looked = 0
  for (const [page, text] of Object.entries(await pages())) {
    for (const line of typedIn(page in helpTopics ? `\`\`\`\n${text}\`\`\`` : text)) {
      looked++
      const flaw = flawOf(line)
      if (flaw) wrong.push(`${page}: gpuctl ${line}: ${flaw}`)
    }
  }

  expect(looked).toBeGreaterThan(80)
  expect(wrong).toEqual([])
})

/** Why it could not be typed so; `list | get NAME` in a line stands for its first. */
function flawOf(line: string): string | undefined {
  const words = line.replace(/\[([^\]]*)\]/g, '$1').split(/\s+/)
  if (words.some(word => /…|\.\.\./.test(word))) words.splice(words.findIndex(word => /…|\.\.\./.test(word)))
  if (words[0] === 'help' && (words[1] === undefined || Object.hasOwn(helpTopics, words[1]))) return undefined
  try {
    const [id = '', ...rest] = normalise(words, commands)
    if (rest.includes('--help') && !commands.has(id)) return undefined // a topic
    const shape = commands.get(id)
    if (!shape) return id.startsWith('-') ? undefined : 'no such command'
    const own = rest.slice(0, rest.includes('--') ? rest.indexOf('--') : undefined)
    const unknown = own.filter(word => /^--[a-z]/.test(word)).find(word => !hasFlag(shape, word))
    return unknown && `no flag ${unknown}`
  } catch (error) {
    return (error as Error).message
  }
}

function hasFlag(shape: object, word: string): boolean {
  const name = word.slice(2).split('=')[0] as string
  return Object.hasOwn(shape, name) || Object.hasOwn(shape, name.replace(/^no-/, '')) || name === 'help'
}

test('`gpuctl help exit-codes` names every code that the program uses; each topic is printed', async () => {
  const {run} = await operator()

  for (const topic of Object.keys(helpTopics)) {
    expect(await run(['help', topic])).toEqual({code: 0, stdout: helpTopics[topic], stderr: ''})
  }
  for (const code of Object.values(exitCode)) expect(helpTopics['exit-codes']).toMatch(new RegExp(`^ +${code}  `, 'm'))
})
