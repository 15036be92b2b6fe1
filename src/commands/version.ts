import {BaseCommand} from '../cli/base-command.ts'
import {exitCode} from '../cli/exit-codes.ts'
import {skewOf} from '../cli/version-skew.ts'
import {ApiError, UnreachableError} from '../client/api-error.ts'
import {apiPrefix} from '../contract/routes.ts'

interface VersionOutput {
  client: string
  node: string
  platform: string
  /** Native API that this program speaks. */
  api: string
  server: {url: string; version: string; api: string; serverId: string} | null
  compatible: boolean
}

export default class Version extends BaseCommand {
  static override summary = 'Show the versions of this program and of the server. Ends with 1 when they do not fit.'
  static override examples = ['<%= config.bin %> version', '<%= config.bin %> version -o json']

  async run(): Promise<VersionOutput> {
    const {flags} = await this.parse(Version)
    const {server: url} = this.choose(flags)
    const api = apiPrefix.split('/').at(-1) ?? ''
    const server = await this.client(flags)
      .call('server.version', {})
      .then(found => ({url, ...found}))
      .catch(error => {
        if (error instanceof UnreachableError || error instanceof ApiError) return null
        throw error
      })
    const isFar = server !== null && skewOf({own: this.config.version, server: server.version}) === 'major'
    const compatible = server === null || (server.api === api && !isFar)
    if (!compatible) process.exitCode = exitCode.failure
    const output = {
      client: this.config.version,
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
      api,
      server,
      compatible,
    }
    return this.show(output, [
      ['Client', `${output.client}, API ${api}`],
      ['Node', `${output.node} ${output.platform}`],
      ['Server', server ? `${server.version}, API ${server.api}, at ${url}` : `none answers at ${url}`],
      ['Fit', compatible ? '' : 'no: bring the older of the two to the version of the other'],
    ])
  }
}
