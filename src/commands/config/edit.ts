import {BaseCommand} from '../../cli/base-command.ts'
import {editText} from '../../cli/editor.ts'
import {parseSettings} from '../../cli/plain-yaml.ts'
import {readIfThere, writePrivately} from '../../cli/private-file.ts'
import {checkSettings, configPath} from '../../cli/settings.ts'

const empty = '# current: NAME OF A CONTEXT\n# defaults:\n#   output: wide\n'

export default class ConfigEdit extends BaseCommand {
  static override summary = 'Open your own settings file in an editor; it is read before it is kept.'
  static override description = 'The editor is that of VISUAL or EDITOR. What cannot be read is not kept.'
  static override examples = ['<%= config.bin %> config edit', 'EDITOR="code -w" <%= config.bin %> config edit']

  async run(): Promise<{path: string; changed: boolean}> {
    await this.parse(ConfigEdit)
    const path = configPath(process.env)
    const before = (await readIfThere(path)) ?? empty
    const after = await editText(before, {name: 'config.yml', mayAsk: this.mode.mayAsk})
    const changed = after !== before
    if (changed) {
      checkSettings(await parseSettings(after))
      await writePrivately(path, after)
    }
    this.say(changed ? `${path} is changed.` : 'Nothing was changed.', {id: path, name: path})
    return {path, changed}
  }
}
