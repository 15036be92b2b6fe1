import type {Operation} from './operation.ts'
import {type OperationName, routes} from './routes.ts'

/** Answer to a change with `dryRun`: all was checked, nothing was done. */
export interface DryRun {
  dryRun: true
  /** What would be written down, in the words of the events; with no action it is as it shall be already. */
  messages: string[]
  actions: string[]
}

/** The member of a changing operation's input that asks for it. */
export const dryRunMember = {type: 'boolean', description: 'check everything, say what would happen, do nothing'}

/** They change nothing that outlives the call, or the login that calls. */
const alone: ReadonlySet<OperationName> = new Set([
  'auth.logout',
  'auth.streamTicket',
  'auth.browserLink',
  'claims.explainSpec',
  'nodes.test',
])

/** Whether somebody with an account changes something by it, in one call. */
export function takesDryRun(name: OperationName, {access, transport = 'json'}: Operation): boolean {
  const isOfAccount = access !== 'public' && access !== 'node'
  return !routes[name].startsWith('GET ') && transport === 'json' && isOfAccount && !alone.has(name)
}
