import {join} from 'node:path'
import {describe, expect, onTestFinished, type TestContext, test} from 'vitest'
import type {AuditEntry} from '../../src/domain/ports.ts'
import {beginning, hashOf} from '../../src/store/audit-chain.ts'
import {migrations} from '../../src/store/migrations/migrations.ts'
import {openStore} from '../../src/store/open.ts'
import {createDatabase} from '../support/postgres.ts'
import {need} from '../support/skips.ts'
import {execute} from '../support/store-sql.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'

const places: Record<string, (context: TestContext) => Promise<string>> = {
  sqlite: async () => join(await temporaryDirectory(), 'store.db'),
  postgres: async context => {
    need(context, 'postgres')
    return createDatabase()
  },
}

async function openAt(at: string, steps = migrations) {
  const onFatal = (error: unknown) => {
    throw error
  }
  const store = await openStore({at, onFatal, migrations: steps})
  onTestFinished(() => store.close())
  return store
}

function entry(at: number, fields: Partial<AuditEntry> = {}): AuditEntry {
  const time = new Date(Date.UTC(2026, 0, 1, 0, at)).toISOString()
  return {
    at: time,
    actor: 'root',
    action: 'nodes.approve',
    object: `n${at}`,
    requestId: `r${at}`,
    details: {at},
    ...fields,
  }
}

const entries = (count: number) => Array.from({length: count}, (_, at) => entry(at))

const columns = 'prev_hash, hash, at, actor, action, object, request_id, details'
const swap = (one: number, other: number) => [
  `UPDATE audit SET number = -1 WHERE number = ${one}`,
  `UPDATE audit SET number = ${one} WHERE number = ${other}`,
  `UPDATE audit SET number = ${other} WHERE number = -1`,
]

/** What somebody does who can write to the store, and what is found. Twelve rows are there. */
const tampering: [what: string, statements: string[], fault: object][] = [
  ...['at', 'actor', 'action', 'object', 'request_id', 'details', 'hash', 'prev_hash'].map(
    (column): [string, string[], object] => [
      `${column} is edited`,
      [`UPDATE audit SET ${column} = 'x' WHERE number = 7`],
      {number: 7, fault: 'edited'},
    ],
  ),
  ['the first row is edited', [`UPDATE audit SET actor = 'x' WHERE number = 1`], {number: 1, fault: 'edited'}],
  ['the last row is edited', [`UPDATE audit SET actor = 'x' WHERE number = 12`], {number: 12, fault: 'edited'}],
  ['the first row is deleted', ['DELETE FROM audit WHERE number = 1'], {number: 1, fault: 'missing'}],
  ['a row is deleted', ['DELETE FROM audit WHERE number = 7'], {number: 7, fault: 'missing'}],
  ['the last row is deleted', ['DELETE FROM audit WHERE number = 12'], {number: 12, fault: 'missing'}],
  ['all rows are deleted', ['DELETE FROM audit'], {number: 1, fault: 'missing'}],
  [
    'a row is deleted and the others move up',
    [
      'DELETE FROM audit WHERE number = 7',
      ...[8, 9, 10, 11, 12].map(n => `UPDATE audit SET number = ${n - 1} WHERE number = ${n}`),
    ],
    {number: 7, fault: 'edited'},
  ],
  ['neighbours are swapped', swap(5, 6), {number: 5, fault: 'edited'}],
  ['distant rows are swapped', swap(2, 11), {number: 2, fault: 'edited'}],
  [
    'a row is added at the end',
    [`INSERT INTO audit (number, ${columns}) SELECT 13, ${columns} FROM audit WHERE number = 12`],
    {number: 13, fault: 'added'},
  ],
  [
    'a row is added before the beginning',
    [`INSERT INTO audit (number, ${columns}) SELECT 0, ${columns} FROM audit WHERE number = 1`],
    {number: 0, fault: 'added'},
  ],
]

/** The audit as it is before its first row. */
const anew = [
  'DELETE FROM audit',
  `UPDATE audit_head SET number = 0, hash = '${beginning.hash}', kept_number = 0, kept_hash = '${beginning.hash}'`,
]
const all = {limit: 1000}

describe.each(Object.entries(places))('audit chain on %s', (_, place) => {
  test('T31: an edited, deleted, added or moved row of the audit is named, wherever it stands', {
    timeout: 60_000,
  }, async context => {
    const at = await place(context)
    const store = await openAt(at)
    for (const [what, statements, fault] of tampering) {
      await execute(at, anew)
      await store.audit.append(entries(12))
      expect(await store.audit.verify(all)).toMatchObject({checked: 12, isDone: true, fault: null})

      await execute(at, statements)

      expect([what, (await store.audit.verify(all)).fault]).toEqual([what, fault])
    }
  })

  test('T31: a row that was written anew with a hash to fit is named too, also the last one', async context => {
    const at = await place(context)
    const store = await openAt(at)
    for (const number of [1, 7, 12]) {
      await execute(at, anew)
      await store.audit.append(entries(12))
      const before = (await store.audit.verify({limit: number - 1 || 1})).at
      const prevHash = number === 1 ? beginning.hash : before.hash
      const {requestId, ...row} = {...entry(number - 1), actor: 'nobody', details: '{}'}
      const hash = hashOf({...row, requestId, number, prevHash})

      await execute(at, [
        `UPDATE audit SET actor = 'nobody', details = '{}', hash = '${hash}' WHERE number = ${number}`,
      ])

      expect((await store.audit.verify(all)).fault).toEqual({number, fault: 'replaced'})
    }
  })

  test('T31: writers that meet, and transactions that fail, leave one chain without a gap', {
    timeout: 60_000,
  }, async context => {
    const store = await openAt(await place(context))
    const write = (count: number) =>
      store.transaction(async tx => {
        await tx.audit.append([entry(count), entry(count, {actor: 'a\0b\ud800', details: {odd: 'a\0b\ud800'}})])
        if (count % 5 === 0) throw new Error('refused')
      })

    const done = await Promise.allSettled(Array.from({length: 60}, (_, count) => write(count)))

    expect(done.filter(({status}) => status === 'fulfilled')).toHaveLength(48)
    expect(await store.audit.verify(all)).toMatchObject({checked: 96, head: {number: 96}, fault: null})
  })

  test('the audit is verified page by page while it grows, and on from a head that was noted', async context => {
    const at = await place(context)
    const store = await openAt(at)
    await store.audit.append(entries(25))
    const noted = (await store.audit.verify(all)).head

    const first = await store.audit.verify({limit: 10})
    await store.audit.append(entries(4))
    const second = await store.audit.verify({limit: 10, after: first.at})
    const third = await store.audit.verify({limit: 10, after: second.at})

    expect([first, second, third].map(({checked, isDone}) => [checked, isDone])).toEqual([
      [10, false],
      [10, false],
      [9, true],
    ])
    expect(await store.audit.verify({...all, after: noted})).toMatchObject({checked: 4, at: third.head, fault: null})
    const hash = 'a'.repeat(64)
    expect(await store.audit.verify({...all, after: {number: 25, hash}})).toMatchObject({
      fault: {number: 25, fault: 'replaced'},
    })
    await execute(at, [...anew])
    await store.audit.append(entries(3))
    expect(await store.audit.verify({...all, after: noted})).toMatchObject({fault: {number: 4, fault: 'missing'}})
  })

  test('what is pruned goes from the beginning, and what stays is verified still', async context => {
    const at = await place(context)
    const store = await openAt(at)
    await store.audit.append(entries(20))

    expect(await store.audit.prune(entry(15).at, 10)).toBe(10)
    const between = await store.audit.verify({limit: 3})
    expect(await store.audit.prune(entry(15).at, 10)).toBe(5)
    expect(await store.audit.prune(entry(15).at, 10)).toBe(0)

    expect(await store.audit.verify({...all, after: between.at})).toMatchObject({checked: 5, fault: null})
    expect(await store.audit.prune('9', 100)).toBe(4) // the last one stays, for the chain to go on from
    await store.audit.append(entries(1))
    expect(await store.audit.verify(all)).toMatchObject({checked: 2, head: {number: 21}, fault: null})
    await execute(at, ['DELETE FROM audit WHERE number = 20'])
    expect(await store.audit.verify(all)).toMatchObject({fault: {number: 20, fault: 'missing'}})
  })

  test('rows of before the chain are chained in their order, without the gaps that were there', async context => {
    const at = await place(context)
    const former = await openAt(
      at,
      migrations.filter(({version}) => version < 12),
    )
    await former.close()
    const rows = Array.from({length: 2100}, (_, count) => count + 1)
      .filter(number => number % 100 !== 0)
      .map(number => `(${number}, '2026', 'root', 'a', 'o${number}', 'r', '{}')`)
    await execute(at, [
      `INSERT INTO audit (number, at, actor, action, object, request_id, details) VALUES ${rows.join(',')}`,
    ])

    const store = await openAt(at)

    await store.audit.append(entries(1))
    const check = await store.audit.verify({limit: 5000})
    expect(check).toMatchObject({checked: 2080, head: {number: 2080}, fault: null})
    expect((await store.audit.list(3)).map(({number, object}) => [number, object])).toEqual([
      [2080, 'n0'],
      [2079, 'o2099'],
      [2078, 'o2098'],
    ])
  })
})

test('T31: rows that a server left unchained when it was killed are chained by the next reader', async context => {
  need(context, 'postgres')
  const at = await createDatabase()
  const store = await openAt(at)
  await store.transaction(tx => tx.audit.append(entries(3)))
  const waiting = entries(1200).map(({at: time, object}) => `('${time}', 'root', 'a', '${object}', 'r', '{}')`)
  await execute(at, [
    `INSERT INTO audit_waiting (at, actor, action, object, request_id, details) VALUES ${waiting.join(',')}`,
  ])

  const [newest] = await store.audit.list(1)

  expect(newest).toMatchObject({number: 1203, object: 'n1199'})
  expect(await store.audit.verify({limit: 5000})).toMatchObject({checked: 1203, fault: null})
})

test('T31: what a transaction leaves is chained soon after it, without a reader', async context => {
  need(context, 'postgres')
  const at = await createDatabase()
  const store = await openAt(at)

  await Promise.all(entries(40).map(one => store.transaction(tx => tx.audit.append([one]))))
  await store.close()

  await execute(at, ['ALTER TABLE audit_waiting ADD CONSTRAINT none_waits CHECK (number < 0)'])
})
