import {ListCommand} from '../../cli/list-command.ts'
import {keyColumns} from '../../cli/listings.ts'
import type {SshKey} from '../../contract/schemas/keys.ts'

export default class KeyList extends ListCommand {
  static override summary = 'List your SSH public keys.'
  static override examples = ['<%= config.bin %> key list', '<%= config.bin %> key list -o json']

  async run(): Promise<SshKey[]> {
    const {flags} = await this.parse(KeyList)
    const found = await this.client(flags).call('keys.list', {})
    return this.list(found, keyColumns, 'You have no SSH keys. Add one: gpuctl key add ~/.ssh/id_ed25519.pub')
  }
}
