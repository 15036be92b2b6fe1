import {expect, test} from 'vitest'
import {taskKillLoop} from '../bench/task-kill-loop.ts'
import {poolTrial} from '../bench/task-trials/pools.ts'
import {program} from '../support/gpuctl.ts'
import {need} from '../support/skips.ts'
import {temporaryDirectory} from '../support/temporary-directory.ts'
import {zfs} from '../support/zfs.ts'

// The short form of `npm run soak -- tasks=50`.

test('F18 M24: agent and server killed in the middle of making and destroying pools leave them whole or not at all', async context => {
  need(context, 'root', 'zfs')
  await zfs()
  const data = await temporaryDirectory('gpuctl-task-kill-')

  const result = await taskKillLoop({program, data, trials: [poolTrial('zfs')], killsPerStep: 2, mostKills: 3})

  expect(result.faults).toEqual([])
  expect(result.fired).toBeGreaterThanOrEqual(3)
}, 240_000)
