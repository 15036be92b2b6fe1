import {readFile, rm} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {openStore} from '../../../src/store/open.ts'
import {need} from '../../support/skips.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'
import {buildWriter, startWriter} from './child.ts'

async function idsIn(file: string): Promise<string[]> {
  const store = await openStore({at: file, onFatal: () => undefined})
  const ids = (await store.claims.pending()).map(({id}) => id)
  await store.close()
  return ids
}

test('F1: ten kill -9 in the middle of writes lose no acknowledged row', {timeout: 30_000}, async () => {
  const file = join(await temporaryDirectory(), 'store.db')
  const script = await buildWriter()
  const acknowledged: string[] = []
  for (let round = 0; round < 10; round++) {
    const writer = startWriter(script, file)
    await writer.reached(20 + round * 15)
    await writer.kill()
    acknowledged.push(...writer.acknowledged)
  }

  const ids = new Set(await idsIn(file))

  expect(acknowledged.length).toBeGreaterThanOrEqual(875)
  expect(acknowledged.filter(id => !ids.has(id))).toEqual([])
  // At most what was under way at each kill: eight writers, and what the pipe had not yet delivered.
  expect(new Set(acknowledged).size).toBe(acknowledged.length)
})

test('F12: after an fsync that failed nothing more is written, and the process ends with 70', {
  timeout: 30_000,
}, async context => {
  need(context, 'strace')
  const folder = await temporaryDirectory()
  const [file, trace] = [join(folder, 'store.db'), join(folder, 'trace')]
  const script = await buildWriter()
  for (const when of [12, 25]) {
    const inject = ['strace', '-f', '-o', trace, '-e', 'trace=fsync', '-e', `inject=fsync:error=EIO:when=${when}+`]
    const writer = startWriter(script, file, inject)
    onTestFinished(() => rm(trace, {force: true}))

    expect(await writer.ended).toBe(70)

    expect(await readFile(trace, 'utf8')).toContain('(INJECTED)')
    expect(writer.errors()).toContain('fatal: Error: disk I/O error')
    const ids = new Set(await idsIn(file))
    expect(writer.acknowledged.filter(id => !ids.has(id))).toEqual([])
  }
})
