import {BaseCommand} from '../../cli/base-command.ts'

interface ResetOutput {
  /** The server that it belonged to; null where it belonged to none. */
  server: string | null
  removed: string[]
}

export default class AgentReset extends BaseCommand {
  static override summary = 'Forget to which control server this machine belongs, so that it can join anew.'
  static override description =
    'Throws away the key that the server gave, and what the server wanted here. The agent must not run. Containers run on, and nobody looks after them any more: find them with `docker ps --filter label=gpuctl.node`. At the server the node stays until `node delete`.'
  static override examples = ['<%= config.bin %> agent reset', '<%= config.bin %> agent reset --yes -o json']

  async run(): Promise<ResetOutput> {
    const {flags} = await this.parse(AgentReset)
    const {findMembership, resetAgent} = await import('../../main/agent-reset.ts')
    const found = await findMembership()
    if (found) await this.consent(`${found.name} leaves ${found.server}, and its key is gone. Go on?`, flags)
    const removed = await resetAgent()
    this.log(
      found
        ? `This machine does not belong to ${found.server} any more.`
        : removed.length > 0
          ? 'The request to join is forgotten.'
          : 'This machine belongs to no control server.',
    )
    this.hint('Next: gpuctl agent start --server URL')
    return {server: found?.server ?? null, removed}
  }
}
