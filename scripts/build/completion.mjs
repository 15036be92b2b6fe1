import {readFile} from 'node:fs/promises'
import {join} from 'node:path'

/**
 * dist/cli/complete.cjs: what answers a Tab, with the tree of all commands in it and nothing else, because it may take a
 * few milliseconds. The tree is made of the committed manifest.
 */
export async function buildCompletion(build, root) {
  const {outputFiles: readers} = await build({
    absWorkingDir: root,
    entryPoints: ['src/cli/completion/tree.ts'],
    bundle: true,
    format: 'esm',
    platform: 'node',
    write: false,
  })
  const {treeOf} = await import(`data:text/javascript;base64,${Buffer.from(readers[0].contents).toString('base64')}`)
  const {oclif} = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const manifest = JSON.parse(await readFile(join(root, 'oclif.manifest.json'), 'utf8'))
  const tree = JSON.stringify(treeOf(manifest, oclif.topics))
  const {outputFiles} = await build({
    absWorkingDir: root,
    entryPoints: {complete: 'src/cli/completion/main.ts'},
    outdir: join(root, 'dist/cli'),
    outExtension: {'.js': '.cjs'},
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    // Parsed as JSON: faster than as a program.
    define: {GPUCTL_COMMAND_TREE: 'commandTree$'},
    banner: {js: `const commandTree$ = JSON.parse(${JSON.stringify(tree)})`},
    legalComments: 'none',
    logLevel: 'warning',
    write: false,
  })
  return outputFiles
}
