import type {Client} from '../client/client.ts'
import type {User} from '../contract/schemas/auth.ts'
import {exitCode} from './exit-codes.ts'
import {Failure} from './failure.ts'
import type {Line} from './output/listing.ts'

/** By id or user name; exit 3 when there is none. */
export async function findUser(client: Client, reference: string): Promise<User> {
  const users = await client.call('users.list', {})
  const found = users.find(({id}) => id === reference) ?? users.find(({username}) => username === reference)
  if (found) return found
  const [begins, another] = reference.length < 4 ? [] : users.filter(({id}) => id.startsWith(reference))
  if (begins && !another) return begins
  throw new Failure('not_found', `There is no user ${reference}.`, {
    hint: 'List them with `gpuctl user list`.',
    exitCode: exitCode.notFound,
  })
}

export function userLines({id, username, role, enabled, gpuQuota, maxPriority, createdAt}: User): Line[] {
  return [
    ['Username', username],
    ['Role', role],
    ['Enabled', enabled ? 'yes' : 'no'],
    ['GPUs', gpuQuota === null ? 'unlimited' : gpuQuota],
    ['Priority up to', maxPriority],
    ['Created', createdAt],
    ['Id', id],
  ]
}
