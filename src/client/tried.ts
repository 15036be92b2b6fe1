import type {DryRun} from '../contract/dry-run.ts'

/** Thrown where a change was only tried (`dryRun`): the server checked it, and says what would happen. */
export class Tried extends Error {
  readonly answer: DryRun

  constructor(answer: DryRun) {
    super('It was tried only.')
    this.answer = answer
  }
}

export function isDryRun(answer: object): answer is DryRun {
  return (answer as Partial<DryRun>).dryRun === true
}
