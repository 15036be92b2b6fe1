import {readFileSync} from 'node:fs'
import {readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {unspared} from '../../../src/runtime/oom-score.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'

test('what a spared agent begins for others is not spared, and it is itself again afterwards', async () => {
  const path = join(await temporaryDirectory(), 'oom_score_adj')
  const begin = () => readFileSync(path, 'utf8')

  await writeFile(path, '-500\n')
  expect(unspared(begin, path)).toBe('0')
  expect(await readFile(path, 'utf8')).toBe('-500')
  expect(() => unspared(() => JSON.parse(`${begin()}{`), path)).toThrow(SyntaxError)
  expect(await readFile(path, 'utf8')).toBe('-500')

  await writeFile(path, '300\n')
  expect(unspared(begin, path), 'who is to go first stays so').toBe('300\n')
  expect(unspared(() => 'begun', join(path, 'nowhere'))).toBe('begun')
})
