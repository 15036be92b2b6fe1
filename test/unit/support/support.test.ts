import pg from 'pg'
import {describe, expect, test} from 'vitest'
import {createDatabase, startPostgres} from '../../support/postgres.ts'
import {need} from '../../support/skips.ts'
import {eventually} from '../../support/wait.ts'

describe('eventually', () => {
  test('returns the first answer that is something', async () => {
    let looks = 0

    const seen = await eventually(() => ++looks > 2 && `look ${looks}`)

    expect(seen).toBe('look 3')
  })

  test('says at its deadline what it saw last', async () => {
    const looking = eventually(() => Promise.reject(new Error('no route')), {withinMs: 30, what: 'the node'})

    await expect(looking).rejects.toThrow(/^the node did not come true in 30 ms .*no route$/)
  })
})

describe('PostgreSQL for tests', () => {
  test('each test has a database of its own', async context => {
    need(context, 'postgres')
    const [one, other] = [await createDatabase(), await createDatabase()]

    await ask(one, 'CREATE TABLE t (x int)')

    await expect(ask(other, 'SELECT * FROM t')).rejects.toThrow('relation "t" does not exist')
  })

  test('what was committed with fsync survives an immediate restart', async context => {
    need(context, 'postgres')
    const postgres = await startPostgres({fsync: true})
    context.onTestFinished(() => postgres.stop())
    const url = await postgres.createDatabase()
    await ask(url, 'CREATE TABLE t (x int)')

    await postgres.restartImmediate()

    expect(await ask(url, 'SELECT count(*)::int AS rows FROM t')).toEqual([{rows: 0}])
  })
})

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client(url)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}
