import type {Migration} from './migration.ts'

/** What was held in a time is found without a look at all that was ever held. */
export const timesOfAllocations: Migration = {
  version: 14,
  name: 'times of allocations',
  statements: () => ['CREATE INDEX allocations_released ON allocations (released_at, number)'],
}
