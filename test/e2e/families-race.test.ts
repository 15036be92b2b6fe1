import {expect, test} from 'vitest'
import {raceFamilies} from '../bench/families-race.ts'
import {connectMachines} from '../bench/fleet.ts'
import {controlPlane} from '../support/control-plane.ts'
import {createDatabase} from '../support/postgres.ts'
import {need} from '../support/skips.ts'

// The short form of a part of `npm run soak`.

test.for(['sqlite', 'postgres'] as const)(
  'W6.5-5: a claim of document 004 and an instance of document 002 race for the last GPU: it is never sold twice (%s)',
  async (store, context) => {
    if (store === 'postgres') need(context, 'postgres')
    const plane = await controlPlane(store === 'postgres' ? {database: await createDatabase()} : {})
    const server = {url: plane.url, token: plane.adminToken}
    const over = new AbortController()
    const machine = await connectMachines({server, nodes: 1, gpus: 1, beatMs: 1_000, signal: over.signal})
    try {
      const {won, faults} = await raceFamilies({server, rounds: 10})

      expect(faults).toEqual([])
      expect(won['gpu-claims'] + won.rental).toBe(10)
    } finally {
      over.abort()
      await machine.ended
    }
  },
)
