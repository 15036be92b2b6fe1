/**
 * Writes oclif.manifest.json: what every command is called and takes, so that a start need not load all commands.
 * Builds first. `--stdout` prints it and changes no file.
 */
import {execFileSync} from 'node:child_process'
import {writeFile} from 'node:fs/promises'
import {createRequire} from 'node:module'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import {Plugin} from '@oclif/core'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const build = () => execFileSync(process.execPath, [join(root, 'scripts/build.mjs')], {stdio: ['ignore', 2, 2]})
build()

const plugin = new Plugin({
  errorOnManifestCreate: true,
  ignoreManifest: true,
  respectNoCacheDefault: true,
  root,
  type: 'core',
})
await plugin.load()
const {variableOf} = createRequire(import.meta.url)('../bin/load.js').load('cli', 'oclif')
for (const {flags} of Object.values(plugin.manifest.commands)) {
  for (const [name, flag] of Object.entries(flags)) {
    flag.env = variableOf(name, flag)
    // Absent says the same, and every start reads this file.
    for (const no of ['allowNo', 'multiple', 'hasDynamicHelp']) if (!flag[no]) delete flag[no]
  }
}
const text = `${JSON.stringify(sorted(plugin.manifest), undefined, 1)}\n`
if (process.argv.includes('--stdout')) process.stdout.write(text)
else {
  await writeFile(join(root, 'oclif.manifest.json'), text)
  // The completion is made of it.
  build()
}

/** Commands, flags and properties by name, so that the file changes only where a command changed. Arguments keep theirs. */
function sorted(value, key) {
  if (Array.isArray(value)) return value.map(item => sorted(item))
  if (value === null || typeof value !== 'object') return value
  const names = Object.keys(value)
  if (key !== 'args') names.sort()
  return Object.fromEntries(names.map(name => [name, sorted(value[name], name)]))
}
