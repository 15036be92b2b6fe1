import {readFile, stat} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {createLogger, createStreamLogger} from '../../../src/platform/logger.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'
import {eventually} from '../../support/wait.ts'

function capture(pretty = false) {
  const lines: string[] = []
  const logger = createStreamLogger({level: 'debug', pretty, stream: {write: line => void lines.push(line)}})
  return {logger, lines}
}

const CANARY = 'ca"n\\ary,}]'

test.each([
  'password',
  'adminPassword',
  'token',
  'node_token',
  'secret',
  'poll_secret',
  'X-Join-Secret',
  'authorization',
  'Authorization',
  'apiKey',
  'api_key',
  'x-api-key',
  'jwt',
  'cookie',
  'clientKey',
  'private_key',
])('no secret under %s reaches the log, at any depth', key => {
  const {logger, lines} = capture()
  const error = Object.assign(new Error('failed'), {config: {headers: {[key]: CANARY}}})

  logger.info({[key]: CANARY, deep: [{a: {b: {c: {[key]: [CANARY, CANARY]}}}}], after: 'kept'}, 'hello')
  logger.info({[key]: 12_345}, 'number')
  logger.child({[key]: CANARY}).error(error)

  for (const line of lines) expect(() => JSON.parse(line)).not.toThrow()
  expect(lines.join('')).not.toMatch(/n\\\\ary|12345/)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({level: 'info', [key]: '[redacted]', after: 'kept', msg: 'hello'})
})

test('a record is one line, whatever is in it', () => {
  const {logger, lines} = capture()

  logger.warn({name: 'a\nb\u2028c'}, 'two\nlines')

  expect(lines).toHaveLength(1)
  expect(lines[0]?.trimEnd()).not.toContain('\n')
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({level: 'warn', name: 'a\nb\u2028c', msg: 'two\nlines'})
})

test('for a person it is one line with time, level, words and pairs, and nothing that moves the cursor', () => {
  const {logger, lines} = capture(true)

  logger.info({node: 'gpu-1', evil: '\x1b[2Jx\ny', password: 'canary'}, 'joined\x1b]0;title\x07')
  logger.error(new Error('no disk'), 'cannot start')

  const plain = lines.map(line => line.replace(/\x1b\[\d+m/g, ''))
  expect(plain[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} INFO {2}joined node=gpu-1 evil=.* password="\[redacted\]"\n$/)
  expect(plain[1]).toMatch(/ERROR cannot start err="no disk"\n$/)
  expect(plain.join('')).not.toContain('\x1b')
})

test('a log file is for its owner only', async () => {
  const path = join(await temporaryDirectory(), 'server.log')
  createLogger({destination: path}).info('started')

  await eventually(async () => (await readFile(path, 'utf8')).includes('started'))
  expect((await stat(path)).mode & 0o777).toBe(0o600)
})
