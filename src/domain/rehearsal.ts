/**
 * Thrown in place of the first change of a caller who only wants to know (`dryRun`): its transaction is rolled back, and
 * nothing that follows the change in its service happens.
 */
export class Rehearsed extends Error {
  readonly messages: string[]
  readonly actions: string[]

  constructor({messages, actions}: {messages: string[]; actions: string[]}) {
    super('It was tried only.')
    this.messages = messages
    this.actions = actions
  }
}

/** All that a change checks, without the change; its refusals are thrown. */
export async function tryOnly<C extends object>(change: (caller: C) => Promise<unknown>, caller: C): Promise<void> {
  try {
    await change({...caller, rehearses: true})
  } catch (error) {
    if (!(error instanceof Rehearsed)) throw error
  }
}
