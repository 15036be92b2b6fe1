import {readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import {normalise} from '../../src/cli/argv.ts'
import {type CommandShapes, shortcuts, topicShortcuts, topicWords, verbGroups} from '../../src/cli/words.ts'
import {operator} from '../support/gpuctl.ts'
import {nativeServer} from './native-server.ts'

const manifest = JSON.parse(readFileSync(new URL('../../oclif.manifest.json', import.meta.url), 'utf8')) as {
  commands: Record<string, {flags: Record<string, {type: string; char?: string}>}>
}
const ids = Object.keys(manifest.commands)
const commands: CommandShapes = new Map(ids.map(id => [id, manifest.commands[id]?.flags ?? {}]))
const reached = (words: readonly string[]) => normalise(words, commands)[0]

/** Every way to type the topics of a command. */
function* topicsTyped(topics: readonly string[]): Generator<string[]> {
  const [first, ...rest] = topics
  if (first === undefined) return yield []
  const words = [first, ...Object.keys(topicWords).filter(word => topicWords[word] === first)]
  for (const word of words) for (const others of topicsTyped(rest)) yield [word, ...others]
  if (first !== 'storage' || rest[0] !== 'pool') return
  for (const word of Object.keys(topicShortcuts)) yield [word, ...rest.slice(1)]
}

describe('in the shipped manifest', () => {
  // `help` alone asks for the help of all.
  test.each(ids.filter(id => id !== 'help'))('%s is reached by every synonym of its topics and of its verb', id => {
    const topics = id.split(':')
    const verb = topics.pop() as string
    const group = topics.length > 0 ? (verbGroups.find(one => one.includes(verb)) ?? [verb]) : [verb]
    const verbs = group.filter(word => word === verb || !ids.includes([...topics, word].join(':')))
    const first = group.find(word => ids.includes([...topics, word].join(':')))
    for (const typed of topicsTyped(topics)) {
      for (const word of wordsFor(verbs, verb, first))
        expect([...typed, word, reached([...typed, word])]).toEqual([...typed, word, id])
    }
  })

  test('no synonym is the name of a topic or a command, so that none hides one', () => {
    const names = new Set(ids.flatMap(id => id.split(':').slice(0, -1)))
    const roots = new Set(ids.filter(id => !id.includes(':')))
    const words = [...Object.keys(topicWords), ...Object.keys(shortcuts)]

    expect(words.filter(word => names.has(word) || roots.has(word))).toEqual([])
    expect(Object.keys(topicShortcuts).filter(word => ids.some(id => id.split(':')[0] === word))).toEqual([])
    expect(new Set(words).size).toBe(words.length)
  })

  test('every synonym leads somewhere', () => {
    const topics = new Set(ids.flatMap(id => id.split(':').slice(0, -1)))

    expect(Object.values(topicWords).filter(topic => !topics.has(topic))).toEqual([])
    for (const way of Object.values(shortcuts)) expect(ids).toContain(way.join(':'))
    for (const way of Object.values(topicShortcuts)) expect(ids).toContain([...way, 'list'].join(':'))
  })
})

/** A verb of the group that is no command of its own means the first of them that is. */
function wordsFor(verbs: readonly string[], own: string, first: string | undefined): readonly string[] {
  return own === first ? verbs : [own]
}

test('synonyms reach the server as the command itself does', async () => {
  const {url, asked} = await nativeServer({'GET /storage/pools': [], 'GET /tasks': [], 'GET /keys': []})
  const {ok} = await operator({GPUCTL_SERVER: url, GPUCTL_TOKEN: 'secret'})

  for (const line of [
    'storage pool list',
    'storage pools ls',
    'storage-pools list',
    'pools ls',
    'op ls',
    'keys list',
  ]) {
    await ok(line.split(' '))
  }
  expect(asked.map(({path}) => path.split('?')[0])).toEqual([...Array(4).fill('/storage/pools'), '/tasks', '/keys'])
  expect((await ok(['pools', '--help'])).stdout).toContain('storage pool')
})
