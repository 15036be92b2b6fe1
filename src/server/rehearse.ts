import type {TSchema} from 'typebox'
import {type DryRun, dryRunMember} from '../contract/dry-run.ts'
import {Rehearsed} from '../domain/rehearsal.ts'

/** Calls the service of one operation. */
export type Ask = (input: unknown, asker: unknown) => Promise<unknown>

/** The input of a changing operation, which may be tried. */
export function withDryRun(input: TSchema): TSchema {
  const {properties = {}} = input as {properties?: object}
  return {...input, properties: {dryRun: dryRunMember, ...properties}} as TSchema
}

/** All that the operation checks, and what it would write down. */
export async function rehearse(ask: Ask, input: unknown, caller: unknown): Promise<DryRun> {
  try {
    await ask(input, {...(caller as object), rehearses: true})
    return {dryRun: true, messages: [], actions: []}
  } catch (error) {
    if (!(error instanceof Rehearsed)) throw error
    const {messages, actions} = error
    return {dryRun: true, messages, actions}
  }
}
