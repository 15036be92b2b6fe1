import {describe, expect, test} from 'vitest'
import {normalise} from '../../src/cli/argv.ts'
import {type CommandShapes, type FlagShape, shortcuts, topicWords, verbGroups} from '../../src/cli/words.ts'

const global: Record<string, FlagShape> = {
  output: {type: 'option', char: 'o'},
  server: {type: 'option', char: 's'},
  json: {type: 'boolean'},
  'json-fields': {type: 'option'},
  quiet: {type: 'boolean', char: 'q'},
}
const ids = [
  ...['login', 'status', 'wait', 'api', 'up'],
  ...['list', 'get', 'approve', 'add', 'delete', 'stats', 'pending', 'drain'].map(verb => `node:${verb}`),
  ...['create', 'list', 'revoke'].map(verb => `node:join-token:${verb}`),
  ...['list', 'get', 'create', 'delete', 'stop', 'logs', 'stats', 'exec', 'cp', 'ssh', 'port-forward'].map(
    verb => `instance:${verb}`,
  ),
  ...['submit', 'list', 'get'].map(verb => `claim:${verb}`),
  ...[...new Set(Object.values(topicWords))].filter(topic => topic !== 'join-token').map(topic => `${topic}:list`),
  ...['context:add', 'context:delete', 'user:create', 'server:status', 'agent:status'],
]
const exec: Record<string, FlagShape> = {
  ...global,
  user: {type: 'option', char: 'u'},
  tty: {type: 'boolean', char: 't'},
}
const commands: CommandShapes = new Map(ids.map(id => [id, id === 'instance:exec' ? exec : global]))

const on = (line: string) => normalise(line.split(' '), commands)
const refusal = (line: string) => {
  try {
    return on(line)
  } catch (error) {
    return error
  }
}

describe('synonyms', () => {
  test.each(verbGroups.slice(0, 4).flatMap(group => group.map(verb => [verb, group[0] as string])))(
    'instance %s is instance %s',
    (verb, usual) => expect(on(`instances ${verb} x`)).toEqual([`instance:${usual}`, 'x']),
  )

  test.each(Object.entries(shortcuts))('%s stands for %s', (word, [topic, verb]) => {
    expect(on(`${word} x`).slice(0, 2)).toEqual([`${topic}:${verb}`, 'x'])
  })

  test('a synonym hides no command, and reaches one of another name', () => {
    expect(on('node add x')).toEqual(['node:add', 'x'])
    expect(on('ctx create lab')).toEqual(['context:add', 'lab'])
    expect(on('nodes join-tokens ls')).toEqual(['node:join-token:list'])
  })

  test('words behind the command are nobody’s synonyms', () => {
    expect(on('node get nodes')).toEqual(['node:get', 'nodes'])
    expect(on('wait node/x --for online')).toEqual(['wait', 'node/x', '--for', 'online'])
  })
})

test.each([
  ['--json node list', ['node:list', '--json']],
  ['node --json list', ['node:list', '--json']],
  ['node list --json', ['node:list', '--json']],
  ['-o json node list', ['node:list', '-o', 'json']],
  ['-s http://x node -q list', ['node:list', '-s', 'http://x', '-q']],
  ['--output=yaml nodes ls', ['node:list', '--output=yaml']],
  ['node list --json=id,name', ['node:list', '--json-fields=id,name']],
  ['--json=id node list', ['node:list', '--json-fields=id']],
])('global flags may stand anywhere: %s', (line, expected) => expect(on(line)).toEqual(expected))

test.each([
  ['exec n1 ls -la', ['instance:exec', 'n1', '--', 'ls', '-la']],
  ['exec n1 -- ls -la', ['instance:exec', 'n1', '--', 'ls', '-la']],
  ['exec -t -u root n1 ps --json=x', ['instance:exec', '-t', '-u', 'root', 'n1', '--', 'ps', '--json=x']],
  ['-q exec n1 sh -c q -- x', ['instance:exec', '-q', 'n1', '--', 'sh', '-c', 'q', '--', 'x']],
])('behind the name of exec everything is the command: %s', (line, expected) => expect(on(line)).toEqual(expected))

test('what stands behind -- is left alone', () => {
  expect(on('submit --image x -- run --json=1')).toEqual(['claim:submit', '--image', 'x', '--', 'run', '--json=1'])
})

test.each([
  ['get nodes', 'gpuctl node list'],
  ['get node gpu-1', 'gpuctl node get'],
  ['describe instance x', 'gpuctl instance get'],
  ['node lsit', 'gpuctl node list'],
  ['claim sumbit', 'gpuctl claim submit'],
  ['lgoin', 'gpuctl login'],
  ['run -it alpine sh', 'gpuctl claim submit'],
  ['stop train', 'gpuctl instance stop'],
  ['rm train', 'gpuctl instance delete'],
  ['drain gpu-1', 'gpuctl node drain'],
  ['inspect train', 'gpuctl instance get'],
  ['list', 'gpuctl instance list'],
])('%s is refused with a guess', (line, guess) => {
  const error = refusal(line)
  expect(error).toMatchObject({exitCode: 2, hint: expect.stringContaining(`\`${guess}\``)})
  expect((error as {hint: string}).hint.split('`gpuctl').length - 1).toBeLessThanOrEqual(3)
})

test('something far from everything gets no guess', () => {
  expect(refusal('xyzzyplugh')).toMatchObject({exitCode: 2, hint: 'See what there is with `gpuctl --help`.'})
  expect(refusal('nodes xyzzyplugh')).toMatchObject({hint: 'See what there is with `gpuctl node --help`.'})
})

test('flags without a command are no question for help', () => {
  expect(on('--help --no-color')).toEqual(['--help', '--no-color'])
  for (const line of ['--nosuch', '--json', '-o json', '-x']) {
    expect(refusal(line)).toMatchObject({exitCode: 2, message: 'Which command?'})
  }
})

test('a topic alone shows its help, but a script that forgot the verb fails', () => {
  expect(on('nodes')).toEqual(['node', '--help'])
  expect(on('help node approve')).toEqual(['node:approve', '--help'])
  expect(refusal('--json node')).toMatchObject({exitCode: 2})
})
