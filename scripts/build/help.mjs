import {spawnSync} from 'node:child_process'
import {writeFile} from 'node:fs/promises'
import {join} from 'node:path'

/** What `gpuctl --help` prints where nobody sees colours; bin/run.js prints it without loading anything. Needs the bundles and the manifest. */
export async function writeHelp(root) {
  const env = {...process.env, COLUMNS: '80', NO_COLOR: '1', NODE_DISABLE_COMPILE_CACHE: '1'}
  const {status, stdout} = spawnSync(process.execPath, [join(root, 'bin/run.js'), '--help'], {env, encoding: 'utf8'})
  if (status === 0) await writeFile(join(root, 'dist/bundle/help.txt'), stdout)
}
