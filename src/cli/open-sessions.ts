import {Flags} from '@oclif/core'
import type {Client} from '../client/client.ts'
import type {Session} from '../contract/schemas/sessions.ts'

/** Which of the open sessions are meant. */
export const sessionFlags = {
  all: Flags.boolean({description: 'of all users (administrators)'}),
  user: Flags.string({description: 'only those of this user (administrators)', helpValue: '<name>'}),
  instance: Flags.string({description: 'only those in this instance, by its id or name', helpValue: '<name>'}),
}

export async function openSessions(
  client: Client,
  {all, user, instance}: {all: boolean; user: string | undefined; instance: string | undefined},
): Promise<Session[]> {
  const found = await client.call('sessions.list', {all: all || user !== undefined})
  return found.filter(
    one =>
      (user === undefined || one.user === user) &&
      (instance === undefined || one.instance === instance || one.instanceId === instance),
  )
}
