import type {TestContext} from 'vitest'
import {Client} from '../../src/client/client.ts'
import {sharedDocker} from './docker.ts'
import {ensureToolsImage, toolsImage} from './images.ts'
import {need} from './skips.ts'
import {SshClient} from './ssh-client.ts'
import {needEngine, sleeper, type WholeFleetOptions, wholeFleet} from './whole-fleet.ts'

/** A fleet with a jump host, Ada with her key and her running instance `train`, and her OpenSSH client. */
export async function sshPlace(context: TestContext, options: WholeFleetOptions = {}) {
  await needEngine(context)
  need(context, 'ssh')
  await ensureToolsImage(options.engine ?? (await sharedDocker()))
  const fleet = await wholeFleet({...options, ssh: options.ssh ?? {}})
  const door = fleet.server.ssh
  if (!door) throw new Error('There is no jump host.')
  const client = await SshClient.start(door)
  const password = 'Long-enough-ada'
  const {id: adaId} = await fleet.client.call('users.create', {username: 'ada', password, gpuQuota: 4})
  const {token} = await fleet.client.call('auth.login', {username: 'ada', password})
  const target = {...(await fleet.client.target()), token}
  const ada = new Client({target: async () => target, userAgent: 'gpuctl-test', timeoutMs: 10_000})
  await ada.call('keys.create', {key: client.publicKey})
  const claim = await ada.call('claims.submit', {name: 'train', image: toolsImage, command: sleeper})
  await fleet.untilClaim(claim.id, ({status}) => status.phase === 'Running')
  return {fleet, client, ada, adaId, password, claim, door}
}
