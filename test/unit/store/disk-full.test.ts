import {execFileSync} from 'node:child_process'
import {existsSync} from 'node:fs'
import {rm, stat, statfs, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {expect, onTestFinished, test} from 'vitest'
import {openStore} from '../../../src/store/open.ts'
import {need} from '../../support/skips.ts'
import {temporaryDirectory} from '../../support/temporary-directory.ts'
import {eventually} from '../../support/wait.ts'
import {newAllocation, newClaim, newEvent} from './records.ts'

test('F11: on a full disk writes are refused, reads and releases go on, and it recovers by itself', {
  timeout: 30_000,
}, async context => {
  need(context, 'root', 'linux')
  const folder = await temporaryDirectory()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m,mode=700', 'tmpfs', folder])
  onTestFinished(() => {
    execFileSync('umount', ['-l', folder])
  })
  const file = join(folder, 'store.db')
  const fatal: unknown[] = []
  const store = await openStore({at: file, onFatal: error => fatal.push(error)})
  onTestFinished(() => store.close())
  await eventually(() => existsSync(`${file}.reserve`))
  const claim = await store.claims.insert(newClaim({phase: 'Running'}))
  const allocation = await store.allocations.bind(newAllocation('n1', [0, 1], claim.id))

  // Somebody else fills the disk to its last page, then claims are submitted until the first is refused.
  const ballast = join(folder, 'ballast')
  const {bavail, bsize} = await statfs(folder)
  await writeFile(ballast, Buffer.alloc((bavail - 64) * bsize, 1))
  const acknowledged: string[] = []
  const refused = await eventually(
    async () => {
      const one = newClaim({spec: {env: {PAD: 'x'.repeat(2000)}}})
      try {
        await store.transaction(async tx => {
          await tx.claims.insert(one)
          await tx.events.append(newEvent({objectId: one.id}))
        })
        acknowledged.push(one.id)
        return false
      } catch (error) {
        return error as Error
      }
    },
    {withinMs: 10_000, everyMs: 1},
  )

  expect(refused).toMatchObject({code: 'store_full'})
  expect(acknowledged.length).toBeGreaterThan(0)
  expect(existsSync(`${file}.reserve`)).toBe(false)
  await expect(store.settings.set('a', 'x')).rejects.toMatchObject({code: 'store_full'})

  // Reads and releases go on.
  const ids = (await store.claims.list({})).map(({id}) => id)
  expect(ids.sort()).toEqual([...acknowledged, claim.id].sort())
  await store.transaction(async tx => {
    await tx.claims.save({...claim, status: {...claim.status, phase: 'Released'}})
    await tx.allocations.release(allocation.id, claim.createdAt)
    await tx.events.append(newEvent({objectId: claim.id, type: 'Released'}))
    const row = {at: claim.createdAt, actor: 'bob', action: 'claims.cancel', object: claim.id, requestId: 'r'}
    await tx.audit.append([{...row, details: {}}])
  })
  expect(await store.allocations.listLive()).toEqual([])
  await expect(store.settings.set('a', 'x')).rejects.toMatchObject({code: 'store_full'})

  // With room again everything goes on by itself, and the reserve is back.
  await rm(ballast)
  await eventually(
    async () => {
      await store.settings.set('a', 'x')
      return true
    },
    {withinMs: 5_000, everyMs: 100},
  )
  expect((await stat(`${file}.reserve`)).size).toBe(16 * 1024 * 1024)
  const waiting = await store.allocations.bind(newAllocation('n1', [0, 1]))
  await store.close()

  // A server that starts on a full disk reads and releases, too.
  const {bavail: left} = await statfs(folder)
  await writeFile(ballast, Buffer.alloc(left * bsize, 1)).catch(() => undefined)
  expect((await statfs(folder)).bavail).toBe(0)
  const again = await openStore({at: file, onFatal: error => fatal.push(error)})
  onTestFinished(() => again.close())
  expect(await again.settings.get('a')).toBe('x')
  await expect(again.settings.set('a', 'y')).rejects.toMatchObject({code: 'store_full'})
  await again.allocations.release(waiting.id, claim.createdAt)
  expect(await again.allocations.listLive()).toEqual([])
  expect(fatal).toEqual([])
})
