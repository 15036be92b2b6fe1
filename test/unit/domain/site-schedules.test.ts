import {describe, expect, test, vi} from 'vitest'
import {expired, nextRun, type Schedule, scheduledName} from '../../../src/domain/site-schedule.ts'
import {siteWorld} from '../../support/site-world.ts'
import {need} from '../../support/skips.ts'

// Real pools, on machines that do other things too.
vi.setConfig({testTimeout: 30_000})

const dayMs = 24 * 60 * 60_000

describe('the next run of a schedule', () => {
  const after = (schedule: Partial<Schedule>, at: string) => {
    const whole = {scheduleFrequency: 'daily', scheduleTime: '03:00', scheduleDays: null, ...schedule} as const
    const next = nextRun(whole, Date.parse(at))
    return next === null ? null : new Date(next).toISOString()
  }

  test.for<[string, Partial<Schedule>, string, string | null]>([
    ['is today when its time is still to come', {}, '2026-01-31T02:59:59Z', '2026-01-31T03:00:00.000Z'],
    ['is tomorrow at its very time', {}, '2026-01-31T03:00:00Z', '2026-02-01T03:00:00.000Z'],
    ['never comes by hand', {scheduleFrequency: 'manual'}, '2026-01-31T03:00:00Z', null],
    [
      'counts the days of a week from Monday',
      {scheduleFrequency: 'weekly', scheduleDays: '0,6'},
      '2026-01-31T12:00:00Z', // a Saturday
      '2026-02-01T03:00:00.000Z',
    ],
    [
      'goes over the end of a week',
      {scheduleFrequency: 'weekly', scheduleDays: '0'},
      '2026-02-02T03:00:00Z', // a Monday
      '2026-02-09T03:00:00.000Z',
    ],
    [
      'is the last day of a month that has not so many',
      {scheduleFrequency: 'monthly', scheduleDays: '31'},
      '2026-02-01T00:00:00Z',
      '2026-02-28T03:00:00.000Z',
    ],
    [
      'knows leap years',
      {scheduleFrequency: 'monthly', scheduleDays: '30'},
      '2028-02-01T00:00:00Z',
      '2028-02-29T03:00:00.000Z',
    ],
  ])('%s', ([, schedule, at, next]) => {
    expect(after(schedule, at)).toBe(next)
  })
})

test('only what a schedule made expires, by count and by age, and never the newest', () => {
  const names = ['auto-20260101-0300', 'auto-20260102-0300', 'by-hand', 'auto-today', 'auto-20260103-0300']
  const now = Date.parse('2026-01-04T00:00:00Z')

  expect(scheduledName('2026-01-03T03:00:00.000Z')).toBe('auto-20260103-0300')
  expect(expired(names, {retentionCopies: 2, expireDays: null}, now)).toEqual(['auto-20260101-0300'])
  expect(expired(names, {retentionCopies: 9, expireDays: 1}, now).sort()).toEqual(names.slice(0, 2))
  expect(expired(names, {retentionCopies: 1, expireDays: 1}, now + 100 * dayMs)).not.toContain('auto-20260103-0300')
})

test('a schedule makes its snapshots, lets the old ones go, and makes up for missed ones with one', async context => {
  need(context, 'root', 'zfs')
  const {services, admin, caller: alice, makeSite, clock, pass, agent} = await siteWorld('zfs')
  await makeSite('data', {owner: 'alice'})
  await services.sites.snapshot({id: 'data', name: 'by-hand'}, alice)
  const set = await services.sites.setSchedule({id: 'data', frequency: 'daily', retentionCopies: 2}, alice)
  expect(set).toMatchObject({scheduleTime: '03:00', retentionCopies: 2})
  expect(Date.parse(set.nextRunAt!)).toBeGreaterThan(clock.now())
  const made = async () =>
    (await services.sites.snapshots({id: 'data'}, alice)).map(({name}) => name).filter(name => name !== 'by-hand')
  const days: string[] = []
  for (let day = 0; day < 3; day++) {
    days.push(scheduledName((await services.sites.get({id: 'data'}, alice)).nextRunAt!))
    clock.advance(dayMs)
    await pass(5_000)
  }
  expect((await made()).sort()).toEqual(days.slice(1))

  agent('n1').disconnect()
  const missed = scheduledName((await services.sites.get({id: 'data'}, alice)).nextRunAt!)
  clock.advance(5 * dayMs)
  await pass(5_000)
  await agent('n1').connect()
  await pass(65_000)
  expect((await made()).sort()).toEqual([days[2], missed])
  const {nextRunAt} = await services.sites.setSchedule({id: 'data', frequency: 'manual'}, alice)
  expect(nextRunAt).toBeNull()
  expect((await services.sites.snapshots({id: 'data'}, admin)).map(({name}) => name)).toContain('by-hand')
})

test('a schedule that cannot be is refused with the reason', async () => {
  const {services, admin, makeSite} = await siteWorld('directory')
  await makeSite('data')
  const set = (rest: object) => services.sites.setSchedule({id: 'data', frequency: 'daily', ...rest}, admin)

  await expect(set({})).rejects.toMatchObject({code: 'storage_invalid'})
  await expect(set({frequency: 'manual', days: [1]})).rejects.toMatchObject({code: 'input_invalid'})
})
