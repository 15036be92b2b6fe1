import {expect, test} from 'vitest'
import {EpochFence} from '../../../src/agent/epoch-fence.ts'
import {wanted} from './examples.ts'

const epochs = (list: {epoch: number}[]) => list.map(one => one.epoch)

test('an older epoch of a claim is refused, however often and in whatever company it comes', () => {
  const fence = new EpochFence()
  fence.admit([wanted({epoch: 3})])

  expect(fence.admit([wanted({epoch: 2})])).toEqual([])
  expect(fence.admit([wanted({epoch: 2})])).toEqual([])
  expect(fence.admit([])).toEqual([])
  expect(fence.admit([wanted({epoch: 2})])).toEqual([])
  expect(epochs(fence.admit([wanted({epoch: 5}), wanted({epoch: 4})]))).toEqual([5])
})

test('an older binding may always be ended', () => {
  const fence = new EpochFence()
  const ends = [wanted({epoch: 1, state: 'removed'}), wanted({epoch: 2, state: 'stopped'}), wanted({epoch: 3})]

  expect(epochs(fence.admit(ends))).toEqual([1, 2, 3])
})

test('the epochs outlive a restart, and those of the oldest claims are forgotten in the end', () => {
  const fence = new EpochFence()
  fence.admit([wanted({claimId: 'first', epoch: 9})])
  for (let index = 0; index < 1_500; index++) fence.admit([wanted({claimId: `c${index}`, epoch: 2})])
  const reborn = new EpochFence()
  reborn.load(fence.save())

  expect(Object.keys(fence.save()).length).toBeLessThanOrEqual(1_001)
  expect(reborn.admit([wanted({claimId: 'c1499', epoch: 1})])).toEqual([])
  expect(reborn.admit([wanted({claimId: 'first', epoch: 1})])).toHaveLength(1)
})
