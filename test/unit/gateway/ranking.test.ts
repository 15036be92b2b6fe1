import {describe, expect, test} from 'vitest'
import {type Candidate, choose, type Load} from '../../../src/gateway/proxy/ranking.ts'

const calm: NonNullable<Candidate['load']> = {
  activeRequests: 0,
  cpuPercent: 10,
  memoryPercent: 10,
  gpuPercent: 10,
  gpuMemoryPercent: 10,
  gpuCapabilityScore: null,
  averageResponseMs: null,
}
const runtime = (
  id: string,
  load: Partial<NonNullable<Candidate['load']>> | null = {},
  isFresh = load !== null,
): Candidate => ({
  id,
  load: load && {...calm, ...load},
  isFresh,
})
const idle: Load = {inFlight: 0, firstByteMs: undefined, lastTurn: 0}

describe('W1.6-5: the next request goes', () => {
  test.each<[string, Candidate[], Record<string, Partial<Load>>, string]>([
    ['to the one with fewest in flight', [runtime('a'), runtime('b')], {a: {inFlight: 2}, b: {inFlight: 1}}, 'b'],
    [
      'by what it told too, when that is fresh',
      [runtime('a', {activeRequests: 3}), runtime('b')],
      {b: {inFlight: 1}},
      'b',
    ],
    ['not by what it told long ago', [runtime('a', {activeRequests: 3}, false), runtime('b')], {b: {inFlight: 1}}, 'a'],
    ['to the quicker one of equals', [runtime('a'), runtime('b')], {a: {firstByteMs: 900}, b: {firstByteMs: 100}}, 'b'],
    [
      'by the told latency, where none was measured',
      [runtime('a', {averageResponseMs: 900}), runtime('b', {averageResponseMs: 90})],
      {},
      'b',
    ],
    [
      'to an unknown one before a slow one, so that it becomes known',
      [runtime('a'), runtime('b')],
      {a: {firstByteMs: 900}},
      'b',
    ],
    [
      'to the one with more room, when both are as quick',
      [runtime('a', {gpuPercent: 60}), runtime('b', {gpuPercent: 50})],
      {a: {firstByteMs: 100}, b: {firstByteMs: 101}},
      'b',
    ],
    [
      'to the more capable one',
      [runtime('a', {gpuCapabilityScore: 10}), runtime('b', {gpuCapabilityScore: 90})],
      {},
      'b',
    ],
    ['in turn, when nothing tells them apart', [runtime('a'), runtime('b')], {a: {lastTurn: 5}, b: {lastTurn: 4}}, 'b'],
    ['past a busy processor', [runtime('a', {cpuPercent: 81}), runtime('b')], {b: {inFlight: 5}}, 'b'],
    ['to a busy one, when all are', [runtime('a', {cpuPercent: 95}), runtime('b', {cpuPercent: 90})], {}, 'b'],
    [
      'to a busy one, when of another nothing fresh is known',
      [runtime('a', {cpuPercent: 95}), runtime('b', null)],
      {b: {inFlight: 1}},
      'a',
    ],
  ])('%s', (_, candidates, loads, chosen) => {
    expect(choose(candidates, ({id}) => ({...idle, ...loads[id]}))?.id).toBe(chosen)
  })

  test('nowhere, when there is none', () => {
    expect(choose([], () => idle)).toBeUndefined()
  })
})
